"""A value that a lookup has not is added to it from its group, for the connections that send it."""

from __future__ import annotations

import json

import pytest

from flows.desk_lookups import table_of
from stores import audit, connections, desk_groups, failures
from tests.flows.scenery import SECRET, add_connection, database, settings_in, stock
from tests.server.desk_visits import Visitor

pytestmark = pytest.mark.usefixtures("everywhere")

SHOP = """
spec: tiffin/v1
provider: shop
title: Shop
family: pos
revision: 1
evidence: assumed
defaults: {currency: INR, unit: each}
auth: {scheme: hmac, algorithm: sha256, secret: key, signature: {header: X-Signature}}
connection: store
unmapped: {store: create}
lookups:
  onoff: {"1": true, "0": false}
feeds:
  items:
    scope: {store: store}
    idempotency: {event_id: [event]}
    commands:
      active:
        command: UpsertMenuItem
        each: items
        fields:
          item_id: sku
          name: sku
          active: {from: qty, lookup: onoff}
          food_type: {from: $$.food, lookup: {V: veg, N: non_veg}}
"""
PATH = "/v1/integrations/pos/shop/webhooks/items"


@pytest.fixture
def served(tmp_path, start, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings_in(tmp_path)
    (tmp_path / "providers" / "shop.yaml").write_text(SHOP)
    settings = settings_in(tmp_path)
    add_connection(settings, "shop", "five", keys=("R-1",), secrets={"key": SECRET})
    add_connection(settings, "shop", "six", keys=("R-2",), secrets={"key": SECRET}, overrides="defaults: {unit: kg}\n")
    return start(settings)


def groups(served) -> list[desk_groups.Cause]:
    with database(served.settings) as transaction:
        return [one.cause for one in desk_groups.groups(transaction)]


def sent(served, event: str, store: str = "R-1", food: str = "V", qty: str = "1") -> None:
    served.post({**stock(event, store, a=qty), "food": food}, path=PATH)


def overrides(served) -> dict[str, str]:
    with database(served.settings) as transaction:
        return {row.id: row.overrides for row in connections.rows(transaction)}


def fields(cause: desk_groups.Cause) -> dict[str, str]:
    return {name: getattr(cause, name) for name in cause.__slots__}


def open_failures(served) -> int:
    with database(served.settings) as transaction:
        return len(failures.listed(transaction, {}))


def test_each_value_that_a_table_has_not_is_a_group_of_its_own(served) -> None:
    for n, (food, qty) in enumerate([("X", "1"), ("X", "1"), ("Y", "1"), ("V", "on")]):
        sent(served, f"e-{n}", food=food, qty=qty)
    found = {(one.kind, one.within, one.external_id) for one in groups(served)}
    assert found == {("lookup", "food_type", "X"), ("lookup", "food_type", "Y"), ("lookup", "active", "on")}


def replayed(served, visitor: Visitor, answer) -> None:
    """Replays what the answer leads to, one by one."""
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith("/desk/replay?")
    with database(served.settings) as transaction:
        ids = {one.delivery for one in failures.listed(transaction, {})}
    for id in ids:
        visitor.post(f"/desk/deliveries/{id}/replay")


def test_a_value_is_added_to_a_table_of_a_field_and_the_delivery_is_accepted(served) -> None:
    sent(served, "e-1", food="X")
    [cause] = groups(served)
    visitor = Visitor(served, "support")
    page = visitor.get("/desk/failures/group", params=fields(cause)).text
    assert "Add the value to the table of food_type" in page
    assert "<code>non_veg</code>" in page
    answer = visitor.post("/desk/failures/lookup", **fields(cause), known="1", why="a new code of theirs")
    replayed(served, visitor, answer)
    assert open_failures(served) == 0
    assert overrides(served)["six"] == "defaults: {unit: kg}\n"
    with database(served.settings) as transaction:
        entry = next(one for one in audit.entries(transaction) if one.what == "connection.override")
    assert (entry.who, entry.target, entry.why) == ("ann", "five", "a new code of theirs")
    assert json.loads(entry.data) == {"before": "", "after": overrides(served)["five"]}


def test_a_value_is_added_to_a_named_table_beside_what_is_overridden_already(served) -> None:
    for n, store in enumerate(("R-1", "R-2")):
        sent(served, f"e-{n}", store, qty="on")
    [cause] = groups(served)
    visitor = Visitor(served, "support")
    answer = visitor.post("/desk/failures/lookup", **fields(cause), known="0", why="w")
    replayed(served, visitor, answer)
    assert open_failures(served) == 0
    found = overrides(served)
    added = "lookups:\n  onoff:\n    'on': true\n"
    assert (found["five"], found["six"]) == (added, f"defaults:\n  unit: kg\n{added}")


def test_another_text_than_the_table_has_is_taken(served) -> None:
    sent(served, "e-1", food="X")
    [cause] = groups(served)
    visitor = Visitor(served, "support")
    answer = visitor.post("/desk/failures/lookup", **fields(cause), known="other", other="veg", why="w")
    replayed(served, visitor, answer)
    assert open_failures(served) == 0


@pytest.mark.parametrize(
    ("given", "status"),
    [({"known": "0"}, 400), ({"why": "w"}, 400), ({"why": "w", "known": "9"}, 400), ({"why": "w", "known": "-1"}, 400),
     ({"why": "w", "known": "other"}, 400), ({"why": "w", "known": "0", "external_id": "none"}, 409)],
)  # fmt: skip
def test_what_is_not_said_whole_changes_nothing(served, given, status) -> None:
    sent(served, "e-1", food="X")
    [cause] = groups(served)
    answer = Visitor(served, "support").post("/desk/failures/lookup", **{**fields(cause), **given})
    assert answer.status_code == status
    assert overrides(served)["five"] == ""


def test_a_viewer_adds_nothing(served) -> None:
    sent(served, "e-1", food="X")
    [cause] = groups(served)
    answer = Visitor(served, "viewer").post("/desk/failures/lookup", **fields(cause), known="0", why="w")
    assert answer.status_code == 403
    assert overrides(served)["five"] == ""


def test_a_field_that_the_file_has_no_more_has_no_table(served) -> None:
    provider = served.service.providers["shop"].interpreter.provider
    assert table_of(provider, "items", "active", "food_type", "elsewhere:1:1").path[-1] == "lookup"
    assert table_of(provider, "items", "active", "gone", "") is None
    assert table_of(provider, "none", "active", "food_type", "") is None
