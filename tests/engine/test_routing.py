"""Where events, stores and merchants may stand: each through an invented file and the real interpreter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import Request
from engine.routes import Route, overlap
from tests.engine.invented import AT, CONNECTION, STOCK, found, interpreter, stock, tried

EVENTS = """\
    idempotency: {event_id: [id]}
    otherwise: reject
    events:
      stock:
        scope: {store: shop}
        commands:
          stock:
            command: UpdateStockLevel
            each: items
            fields: {item_id: sku, quantity: qty}
      status:
        scope: {store: outlet.id}
        commands:
          status:
            command: UpdateStoreStatus
            fields: {store_id: outlet.id, status: {value: closed}}
"""


def events(event: str, rest: str = "") -> str:
    return f"feeds:\n  all:\n{rest}    event: {event}\n{EVENTS}"


STOCK_BODY = {**stock(), "shop": "S-1"}
STATUS_BODY = {"id": "e2", "outlet": {"id": "S-2"}}


# ---- events --------------------------------------------------------------------------------------------


def test_an_event_stands_in_the_url():
    one = interpreter(events("$request.params.event", "    path: hooks/{event}\n"))
    stocked = tried(one, "all", STOCK_BODY, params=(("event", "stock"),))
    closed = tried(one, "all", STATUS_BODY, params=(("event", "status"),))
    assert [t.reading.event for t in (stocked, closed)] == ["stock", "status"]
    assert [t.outcome.commands[0].name for t in (stocked, closed)] == ["UpdateStockLevel", "UpdateStoreStatus"]


def test_an_unknown_event_in_the_url_is_said_to_be_unknown():
    one = interpreter(events("$request.params.event", "    path: hooks/{event}\n"))
    assert tried(one, "all", STOCK_BODY, params=(("event", "refund"),)).outcome.failures[0].code == "event_unknown"


def test_an_event_of_no_interest_is_ignored_whatever_it_says():
    one = interpreter(
        events("$request.params.event", "    path: hooks/{event}\n") + "      ping: {ignore: it is a ping}\n"
    )
    told = tried(one, "all", {"id": "e3", "any": ["thing"]}, params=(("event", "ping"),))
    assert (told.verdict, told.outcome.commands, told.outcome.failures) == ("ignored", (), ())


def test_an_event_stands_in_a_header():
    one = interpreter(events("$request.headers.`x-event-type`"))
    trial = tried(one, "all", STATUS_BODY, headers=(("X-Event-Type", "status"),))
    assert trial.reading.event == "status"


def test_an_event_stands_in_the_query():
    one = interpreter(events("$request.query.topic"))
    assert tried(one, "all", STATUS_BODY, query=(("topic", "status"),)).reading.event == "status"


def test_an_event_stands_in_the_body():
    one = interpreter(events("type"))
    assert tried(one, "all", {**STATUS_BODY, "type": "status"}).reading.event == "status"


def test_an_event_is_the_prefix_of_an_id():
    one = interpreter(events("'$substringBefore(id, \"-\")'"))
    trial = tried(one, "all", {**STATUS_BODY, "id": "status-0001"})
    assert (trial.reading.event, trial.verdict) == ("status", "accepted")


# ---- stores and merchants ------------------------------------------------------------------------------


def test_the_store_stands_at_another_path_by_event():
    one = interpreter(events("type"))
    stocked = tried(one, "all", {**STOCK_BODY, "type": "stock"})
    closed = tried(one, "all", {**STATUS_BODY, "type": "status"})
    assert [t.reading.scope.store for t in (stocked, closed)] == ["S-1", "S-2"]


def test_the_store_stands_in_the_url():
    one = interpreter(
        f"feeds:\n  stock:\n    path: stores/{{store}}/stock\n    scope: {{store: $request.params.store}}\n{STOCK}"
    )
    trial = tried(one, "stock", stock(), params=(("store", "S-7"),))
    assert (trial.reading.scope.store, found(trial)[0]["store_id"]) == ("S-7", "S-7")


SEVERAL = """\
feeds:
  stock:
    idempotency: {event_id: [id]}
    commands:
      stock:
        command: UpdateStockLevel
        each: items
        fields: {item_id: sku, quantity: qty, store_id: shop, merchant_id: owner}
"""


def several(*shops: tuple[str, str]):
    items = [{"sku": f"i{n}", "qty": "1", "shop": shop, "owner": owner} for n, (shop, owner) in enumerate(shops)]
    return {"id": "e1", "items": items}


def test_several_stores_in_one_message_get_commands_of_their_own():
    trial = tried(interpreter(SEVERAL), "stock", several(("S-1", "M"), ("S-2", "M")))
    assert [c["store_id"] for c in found(trial)] == ["S-1", "S-2"]
    assert len({c.kafka_key for c in trial.outcome.commands}) == 2


def test_several_merchants_in_one_message_get_commands_of_their_own():
    trial = tried(interpreter(SEVERAL), "stock", several(("S-1", "M-1"), ("S-2", "M-2")))
    assert len({c["merchant_id"] for c in found(trial)}) == 2


def test_a_store_outside_of_the_connection_fails_alone():
    bounded = replace(CONNECTION, stores=("S-1",))
    trial = tried(interpreter(SEVERAL), "stock", several(("S-1", "M"), ("S-2", "M")), connection=bounded)
    assert [c["store_id"] for c in found(trial)] == ["S-1"]
    assert [f.code for f in trial.outcome.failures] == ["scope_not_allowed"]


# ---- methods and paths ---------------------------------------------------------------------------------


def test_a_feed_takes_put():
    one = interpreter(f"feeds:\n  stock:\n    method: PUT\n{STOCK}")
    assert tried(one, "stock", stock()).verdict == "accepted"
    assert (one.feed_of("PUT", "stock"), one.feed_of("POST", "stock")) == ("stock", None)


GET = """\
feeds:
  status:
    method: GET
    path: outlets/{outlet}/closed
    accept: none
    scope: {store: $request.params.outlet}
    idempotency: {event_id: [$request.query.id]}
    commands:
      status:
        command: UpdateStoreStatus
        fields: {store_id: $request.params.outlet, status: {value: closed}, reason: $request.query.why}
"""


def test_a_get_says_everything_in_its_url():
    trial = tried(interpreter(GET), "status", params=(("outlet", "S-1"),), query=(("id", "7"), ("why", "rain")))
    assert trial.verdict == "accepted"
    assert {k: found(trial)[0][k] for k in ("store_id", "status", "reason")} == {
        "store_id": "S-1", "status": "closed", "reason": "rain",
    }  # fmt: skip


def test_a_message_without_a_body_refuses_one():
    trial = tried(interpreter(GET), "status", b"x", params=(("outlet", "S-1"),), query=(("id", "7"),))
    assert trial.outcome.failures[0].code == "body_unexpected"


def test_a_literal_path_goes_before_one_with_placeholders_and_that_before_a_name():
    one = interpreter(
        f"feeds:\n  any:\n    path: 'hooks/{{event}}'\n{STOCK}  orders:\n    path: hooks/orders\n{STOCK}"
        f"  named:\n    path: elsewhere\n{STOCK}"
    )
    tails = ("hooks/orders", "hooks/menu", "named", "elsewhere", "hooks", "hooks/a/b", "hooks/")
    assert [one.feed_of("POST", tail) for tail in tails] == ["orders", "any", "named", "named", None, None, None]


@given(st.text(st.characters(exclude_characters="/"), min_size=1), st.sampled_from(["/v1/x/webhooks/", "/v1/x/c/con/"]))
def test_a_placeholder_stands_for_one_whole_segment_whatever_it_holds(segment: str, base: str):
    route, path = Route("stores/{store}/stock"), f"{base}stores/{segment}/stock"
    assert route.matches(f"stores/{segment}/stock")
    request = Request("POST", path, path, (), (), b"", "", AT)
    assert route.routed(request).bindings["params"] == {"store": segment}


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("a", "a", True),
        ("a/{x}", "a/b", False),
        ("a/{x}", "{y}/b", True),
        ("a/{x}", "b/{x}", False),
        ("{x}", "{y}", True),
        ("{x}", "{x}/a", False),
    ],
)
def test_paths_overlap_where_one_url_has_both_and_none_goes_before(one: str, other: str, common: bool):
    assert overlap(one, other) is common
    assert overlap(other, one) is common
