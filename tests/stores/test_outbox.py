from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select, update

from stores import outbox
from stores.database import open_database
from stores.outbox import Counts, Rejected
from stores.tables import deliveries, failures, micros, published
from stores.tables import outbox as outbox_table

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOM = 1 << 30


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    database = open_database(database_url)
    with database.engine.begin() as connection:
        yield connection
    database.close()


def event(text: str) -> bytes:
    return orjson.dumps({"id": text, "data": {"text": text}})


def add(connection: Connection, *ids: str, shard: int = 0, delivery: str = "d1", **changes: Any) -> int:
    values = {
        "delivery": delivery,
        "attempt": 1,
        "shard": shard,
        "kafka_key": f"key-{shard}",
        "count": len(ids),
        "ids": list(ids),
        "data": outbox.pack([event(id) for id in ids]),
        "created_at": NOW,
        **changes,
    }
    return int(connection.execute(insert(outbox_table).values(values)).inserted_primary_key[0])


def add_delivery(connection: Connection, id: str) -> None:
    connection.execute(
        insert(deliveries).values(
            id=id,
            received_at=NOW,
            tenant="T",
            provider="P",
            connection="C",
            feed="F",
            method="POST",
            url="http://localhost/",
            headers=b"[]",
            sealed=b"",
            body=b"{}",
            body_sealed=False,
            peer="",
            spec_hash="",
            quarantined="",
        )
    )


def ids_of(connection: Connection, shards: list[int], rows: int = 100, size: int = ROOM) -> list[list[str]]:
    return [row.ids for row in outbox.pending(connection, shards, rows, size)[0]]


def test_rows_come_oldest_first_and_only_of_the_shards_asked_for(connection: Connection) -> None:
    add(connection, "a", shard=2)
    add(connection, "b", shard=1)
    add(connection, "c", shard=3)
    add(connection, "d", shard=2)
    assert ids_of(connection, [2, 3]) == [["a"], ["c"], ["d"]]
    assert ids_of(connection, []) == []


def test_a_row_brings_its_events_byte_for_byte(connection: Connection) -> None:
    id = add(connection, "a", "b", shard=7, delivery="d9", attempt=3)
    (row,) = outbox.pending(connection, [7], 10, ROOM)[0]
    assert row == (id, "d9", 3, 7, "key-7", ["a", "b"], [event("a"), event("b")], micros(NOW), "catalog.commands")
    assert row.created_at == NOW


def test_rows_are_bounded_by_number(connection: Connection) -> None:
    for id in "abc":
        add(connection, id)
    assert ids_of(connection, [0], rows=2) == [["a"], ["b"]]


def test_rows_are_bounded_by_bytes(connection: Connection) -> None:
    for id in "abc":
        add(connection, id)
    size = 2 * len(outbox.pack([event("a")]))
    assert ids_of(connection, [0], size=size - 1) == [["a"]]
    assert ids_of(connection, [0], size=size) == [["a"], ["b"]]


def test_a_row_larger_than_the_bound_comes_alone(connection: Connection) -> None:
    add(connection, "a")
    add(connection, "b")
    assert ids_of(connection, [0], size=1) == [["a"]]


def test_a_row_whose_ids_and_events_do_not_match_is_unreadable_and_hides_no_other(
    connection: Connection,
) -> None:
    bad = [
        add(connection, "a", count=2),
        add(connection, "b", data=b"[nonsense", count=3, ids=["b", "c", "d"]),
        add(connection, "e", ids=["e", "f"]),
    ]
    add(connection, "g")
    rows, unreadable = outbox.pending(connection, [0], 10, ROOM)
    assert [row.ids for row in rows] == [["g"]]
    assert [row.id for row in unreadable] == bad


def test_a_published_row_moves_with_its_ids_and_without_its_data(connection: Connection) -> None:
    first, second = add(connection, "a", "b", shard=5), add(connection, "c", shard=5)
    outbox.mark_published(connection, [first], NOW + timedelta(seconds=1))
    assert ids_of(connection, [5]) == [["c"]]
    (row,) = connection.execute(select(published)).mappings()
    assert {name: row[name] for name in ("id", "delivery", "attempt", "shard", "kafka_key", "count")} == {
        "id": first,
        "delivery": "d1",
        "attempt": 1,
        "shard": 5,
        "kafka_key": "key-5",
        "count": 2,
    }
    assert row["ids"] == ["a", "b"]
    assert second != first


def test_the_id_of_a_published_row_is_not_given_again(connection: Connection) -> None:
    first = add(connection, "a")
    outbox.mark_published(connection, [first], NOW)
    assert add(connection, "b") > first


def test_more_rows_than_one_statement_takes_are_all_marked(connection: Connection) -> None:
    rows = [add(connection, str(n)) for n in range(2 * outbox.CHUNK + 1)]
    outbox.mark_published(connection, rows, NOW)
    assert outbox.counts(connection)[:2] == (0, 0)
    assert outbox.counts(connection)[4:] == (len(rows), len(rows))


def test_a_parked_row_leaves_the_relays_way_and_becomes_a_failure(connection: Connection) -> None:
    add_delivery(connection, "d1")
    row = add(connection, "a", shard=0, attempt=2)
    add(connection, "b", shard=0)
    outbox.park(connection, [Rejected(row, "oversized", "too large", {"ids": ["a"]})], NOW)
    assert ids_of(connection, [0]) == [["b"]]
    (failure,) = connection.execute(select(failures)).mappings()
    names = ("delivery", "attempt", "tenant", "provider", "connection", "feed", "class", "code")
    assert [failure[name] for name in names] == ["d1", 2, "T", "P", "C", "F", "processing", "oversized"]
    data = orjson.loads(failure["data"])
    assert (data["message"], data["facts"]) == ("too large", {"ids": ["a"]})


def test_parking_a_row_twice_changes_nothing_more(connection: Connection) -> None:
    add_delivery(connection, "d1")
    rejected = [Rejected(add(connection, "a", shard=4), "oversized", "too large", {})]
    outbox.park(connection, rejected, NOW)
    outbox.park(connection, rejected, NOW)
    assert len(connection.execute(select(failures)).all()) == 1
    assert ids_of(connection, [4]) == []


@pytest.mark.parametrize("shard", [0, 63])
def test_an_unparked_row_is_back_in_its_shard(connection: Connection, shard: int) -> None:
    add_delivery(connection, "d1")
    row = add(connection, "a", shard=shard)
    outbox.park(connection, [Rejected(row, "oversized", "too large", {})], NOW)
    assert outbox.unpark(connection, "another") == 0
    assert outbox.unpark(connection, "d1") == 1
    assert ids_of(connection, [shard]) == [["a"]]


def test_counts_tell_waiting_parked_and_published_apart(connection: Connection) -> None:
    add_delivery(connection, "d1")
    assert outbox.counts(connection) == Counts(0, 0, 0, 0, 0, 0)
    add(connection, "a", "b", "c")
    parked = add(connection, "d", "e")
    outbox.mark_published(connection, [add(connection, "f")], NOW)
    outbox.park(connection, [Rejected(parked, "oversized", "too large", {})], NOW)
    assert outbox.counts(connection) == Counts(1, 3, 1, 2, 1, 1)


def test_the_oldest_pending_row_is_not_a_parked_one(connection: Connection) -> None:
    assert outbox.oldest_pending(connection) is None
    parked = add(connection, "a")
    add(connection, "b", created_at=NOW + timedelta(seconds=5))
    connection.execute(update(outbox_table).where(outbox_table.c.id == parked).values(shard=-1))
    assert outbox.oldest_pending(connection) == NOW + timedelta(seconds=5)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab,\n", max_size=3), inner, max_size=4),
)
events = st.lists(st.dictionaries(st.text("abc", max_size=3), json_values, max_size=4).map(orjson.dumps))


@given(events)
def test_packed_events_are_a_json_array_and_come_back_byte_for_byte(events: list[bytes]) -> None:
    packed = outbox.pack(events)
    assert orjson.loads(packed) == [orjson.loads(event) for event in events]
    assert outbox.unpack(packed, len(events)) == events


@given(events)
def test_events_that_were_packed_otherwise_are_parsed(events: list[bytes]) -> None:
    packed = b"[" + b",".join(events) + b"]"
    assert outbox.unpack(packed, len(events)) == events


@pytest.mark.parametrize("data", [b"", b"0", b"{}", b"[", b"[1,2]", b"nonsense"])
def test_a_row_without_the_promised_number_of_events_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        outbox.unpack(data, 3)
