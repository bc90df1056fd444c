"""What the support desk's lists and groups find, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from engine.messages import Ref
from stores import desk_deliveries, desk_groups, mappings
from stores.causes import about
from stores.database import open_database
from stores.desk_deliveries import Filters
from stores.desk_groups import Cause
from stores.tables import deliveries, failures, in_flight, outcomes

START = datetime(2026, 1, 1, 10, 2, tzinfo=UTC)


def id_of(n: int) -> str:
    return f"{int((START + timedelta(minutes=n)).timestamp() * 1000):012x}{n:032x}"


def stored(transaction: Connection, n: int, /, *states: str, **given: Any) -> str:
    """A delivery that came n minutes after the start, with an attempt for each state."""
    at, id = START + timedelta(minutes=n), id_of(n)
    owner = {"tenant": "north", "provider": "acme", "connection": "one", "feed": "stock"}
    row = {
        **owner, "id": id, "received_at": at, "method": "POST", "url": "/x", "headers": b"[]", "sealed": b"",
        "body": b"{}", "body_sealed": False, "peer": "192.0.2.1", "spec_hash": "s", "quarantined": "",
    }  # fmt: skip
    row |= {name: value for name, value in given.items() if name in row}
    transaction.execute(insert(deliveries).values(row))
    for attempt, state in enumerate(states, 1):
        transaction.execute(
            insert(outcomes).values(
                delivery=id, attempt=attempt, at=at, state=state, event="", key_text="", holder="", commands=1,
                stale=0, external_merchant="", external_store=given.get("store", ""), merchant_id="",
                store_id=given.get("store_id", ""), spec_hash="s", results=b"[]",
                entities=given.get("entities", "[]"), command_ids="[]",
            )
        )  # fmt: skip
    return id


def wrong(
    connection: Connection, delivery: str, n: int, cls: str = "mapping", code: str = "unmapped", **facts: str
) -> None:
    connection.execute(
        insert(failures).values(
            {"delivery": delivery, "attempt": 1, "at": START + timedelta(minutes=n), "tenant": "north",
             "provider": "acme", "connection": "one", "feed": "stock", "class": cls, "code": code,
             "data": {"message": "m", "facts": facts}, **about(facts)._asdict()}
        )
    )  # fmt: skip


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    database = open_database(database_url)
    with database.engine.connect().execution_options(writing=True) as found, found.begin() as transaction:
        yield found
        transaction.rollback()
    database.close()


def listed(transaction: Connection, /, **given: Any) -> list[str]:
    return [one.id for one in desk_deliveries.page(transaction, Filters(**given)).lines]


def test_pages_give_every_delivery_once_newest_first(connection: Connection) -> None:
    made = [stored(connection, n, "accepted") for n in range(25)]
    found, below = [], ""
    while True:
        page = desk_deliveries.page(connection, Filters(), below=below, limit=10)
        found += [one.id for one in page.lines]
        below = page.next
        if not below:
            break
    assert found == made[::-1]


@pytest.mark.parametrize(
    "chosen",
    [{"provider": "other"}, {"feed": "menu"}, {"connection": "two"}, {"tenant": "south"}],
    ids=lambda chosen: next(iter(chosen)),
)
def test_a_list_is_narrowed_to_what_a_delivery_is_of(connection: Connection, chosen: dict[str, str]) -> None:
    stored(connection, 1, "accepted")
    wanted = stored(connection, 2, "accepted", **chosen)
    assert listed(connection, **chosen) == [wanted]


def test_the_state_is_that_of_the_latest_attempt(connection: Connection) -> None:
    mended = stored(connection, 1, "failed", "accepted")
    failed = stored(connection, 2, "failed")
    assert listed(connection, state="failed") == [failed]
    assert listed(connection, state="accepted") == [mended]


def test_what_has_no_outcome_is_in_flight(connection: Connection) -> None:
    stored(connection, 1, "accepted")
    flying = stored(connection, 2)
    connection.execute(insert(in_flight).values(delivery=flying, owner="o", lease_until=START, attempts=1))
    assert listed(connection, state="in_flight") == [flying]
    assert desk_deliveries.page(connection, Filters(id=flying)).lines[0].state == "in_flight"


def test_a_store_is_found_by_either_of_its_ids(connection: Connection) -> None:
    stored(connection, 1, "accepted", store="R-2", store_id="sto_2")
    wanted = stored(connection, 2, "accepted", store="R-1", store_id="sto_1")
    for external, canonical in (("R-1", "sto_1"), ("R-2", "sto_2")):
        mappings.set_mapping(connection, "north", "acme", Ref("store", "", external), canonical, START, "t")
    assert listed(connection, store="R-1") == listed(connection, store="sto_1") == [wanted]


def test_a_store_that_two_providers_name_otherwise_is_found_by_all_its_names(connection: Connection) -> None:
    made = [stored(connection, n, "accepted", store=name) for n, name in enumerate(("R-1", "S-1", "sto_1", "R-2"))]
    for external in ("R-1", "S-1", "T-9"):
        mappings.set_mapping(connection, "north", "acme", Ref("store", "", external), "sto_1", START, "t")
    assert listed(connection, store="sto_1") == made[2::-1]


def test_times_bound_a_list(connection: Connection) -> None:
    made = [stored(connection, n, "accepted") for n in range(4)]
    assert listed(connection, since=START + timedelta(minutes=1), until=START + timedelta(minutes=3)) == [
        made[2],
        made[1],
    ]


def test_class_and_code_choose_by_open_failures(connection: Connection) -> None:
    unmapped, priced = stored(connection, 1, "failed"), stored(connection, 2, "failed")
    wrong(connection, unmapped, 1, kind="item", within="R-1", external_id="SKU-17")
    wrong(connection, priced, 2, "validation", "price_format")
    assert listed(connection, cls="mapping") == listed(connection, code="unmapped") == [unmapped]
    assert listed(connection, code="price_format", state="failed") == [priced]


@pytest.mark.parametrize("text", ["pão", "50%", "a_b", "it's"])
def test_a_text_in_the_body_is_found_as_it_stands(connection: Connection, text: str) -> None:
    stored(connection, 1, "accepted", body=b"{}")
    wanted = stored(connection, 2, "accepted", body=f'{{"name": "{text}"}}'.encode())
    assert listed(connection, text=text) == [wanted]


def test_a_sku_is_found_in_bodies_commands_and_failures(connection: Connection) -> None:
    in_body = stored(connection, 1, "accepted", body=b'{"sku": "SKU-17"}')
    in_commands = stored(connection, 2, "accepted", entities='["item:SKU-17"]')
    in_failures = stored(connection, 3, "failed")
    wrong(connection, in_failures, 3, kind="item", within="", external_id="SKU-17")
    stored(connection, 4, "accepted", body=b"SKU-18")
    assert listed(connection, sku="SKU-17") == [in_failures, in_commands, in_body]


def test_a_search_says_how_far_it_looked_and_goes_on_from_there(connection: Connection, monkeypatch) -> None:
    monkeypatch.setattr(desk_deliveries, "LOOKED_THROUGH", 3)
    wanted = stored(connection, 0, "accepted", body=b"needle")
    made = [stored(connection, n, "accepted") for n in range(1, 5)]
    first = desk_deliveries.page(connection, Filters(text="needle"))
    assert (first.lines, first.next, first.looked_to) == ((), made[1], START + timedelta(minutes=2))
    second = desk_deliveries.page(connection, Filters(text="needle"), below=first.next)
    assert [one.id for one in second.lines] == [wanted]
    assert second.looked_to is None


def test_failures_are_grouped_by_the_id_that_wants_a_mapping(connection: Connection) -> None:
    for n in range(3):
        wrong(connection, stored(connection, n, "failed"), n, kind="item", within="R-1", external_id="SKU-17")
    wrong(connection, id_of(0), 0, kind="item", within="R-1", external_id="SKU-17")
    wrong(connection, stored(connection, 3, "failed"), 3, kind="item", within="R-2", external_id="SKU-17")
    wrong(connection, stored(connection, 4, "failed"), 4, "validation", "price_format")
    first, *others = desk_groups.groups(connection)
    assert (first.cause.external_id, first.cause.within) == ("SKU-17", "R-1")
    assert (first.failures, first.deliveries, first.first, first.last) == (4, 3, START, START + timedelta(minutes=2))
    assert {(one.cause.code, one.cause.within, one.deliveries) for one in others} == {
        ("unmapped", "R-2", 1),
        ("price_format", "", 1),
    }
    assert desk_groups.group(connection, first.cause) == first
    assert desk_groups.deliveries_of(connection, first.cause, 10) == [id_of(0), id_of(1), id_of(2)]
    assert desk_groups.sample(connection, first.cause)["facts"]["within"] == "R-1"


def test_a_resolved_failure_is_in_no_group(connection: Connection) -> None:
    wrong(connection, stored(connection, 1, "failed"), 1, kind="item", within="", external_id="x")
    cause = desk_groups.groups(connection)[0].cause
    connection.execute(failures.update().values(resolved_at=START))
    assert desk_groups.groups(connection) == []
    assert desk_groups.group(connection, cause) is None
    assert isinstance(cause, Cause)


def test_hours_count_first_attempts_by_state(connection: Connection) -> None:
    stored(connection, 0, "failed", "accepted")
    stored(connection, 1, "accepted")
    stored(connection, 70, "accepted")
    hours = desk_deliveries.by_hour(connection, START + timedelta(minutes=80), 3)
    assert [(one.at.hour, one.states) for one in hours] == [
        (9, {}),
        (10, {"failed": 1, "accepted": 1}),
        (11, {"accepted": 1}),
    ]


def test_senders_tell_when_a_connection_last_sent(connection: Connection) -> None:
    stored(connection, 0, "accepted")
    stored(connection, 90, "accepted")
    one, two = desk_deliveries.senders(connection, ["one", "two"], START + timedelta(minutes=100), 1)
    assert (one.last, one.recent) == (START + timedelta(minutes=90), 1)
    assert (two.last, two.recent) == (None, 0)
