"""Which deliveries wait for whoever looks at them again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from stores import shadows
from stores.database import open_database
from stores.shadows import Waiting
from stores.tables import deliveries

AT = datetime(2026, 2, 3, 9, tzinfo=UTC)


@pytest.fixture
def transaction(database_url: str) -> Iterator[Connection]:
    opened = open_database(database_url)
    with opened.engine.connect().execution_options(writing=True) as connection, connection.begin():
        yield connection
    opened.close()


def put(transaction: Connection, *ids: str, **other: Any) -> None:
    told = {
        "received_at": AT, "tenant": "north", "provider": "acme", "connection": "one", "feed": "stock",
        "method": "POST", "url": "/", "headers": b"[]", "sealed": b"", "body": b"12345", "body_sealed": False,
        "peer": "", "spec_hash": "", "quarantined": "", "place": "",
    }  # fmt: skip
    transaction.execute(insert(deliveries), [{**told, **other, "id": id} for id in ids])


def waiting(transaction: Connection, most: int = 100, most_bytes: int = 1000, after: str = "") -> Waiting:
    return shadows.waiting(transaction, "acme", after, "9", most, 10, most_bytes)


def test_those_behind_a_position_come_in_order(transaction: Connection) -> None:
    put(transaction, "3", "1", "2")
    assert waiting(transaction, after="1") == Waiting(("2", "3"), 0, 0, "3")


def test_without_any_there_is_no_last(transaction: Connection) -> None:
    assert waiting(transaction) == Waiting((), 0, 0, "")


def test_more_than_are_wanted_are_spread_evenly_and_the_rest_is_counted(transaction: Connection) -> None:
    put(transaction, *"12345678")
    assert waiting(transaction, most=4) == Waiting(("1", "3", "5", "7"), 0, 4, "8")


def test_large_and_erased_bodies_are_counted_apart(transaction: Connection) -> None:
    put(transaction, "1", body=b"x" * 11)
    put(transaction, "2", place="object:0:key", body=b"")
    put(transaction, "3", place="erased", body=b"")
    put(transaction, "4", place="segment:s1", body=b"")
    assert waiting(transaction) == Waiting(("4",), 3, 0, "4")


def test_a_batch_ends_at_so_many_bytes_but_has_one(transaction: Connection) -> None:
    put(transaction, *"123")
    assert waiting(transaction, most_bytes=11).ids == ("1", "2")
    assert waiting(transaction, most_bytes=1).ids == ("1",)


@pytest.mark.parametrize("other", [{"provider": "gate"}, {"quarantined": "signature_wrong"}, {"method": "IMPORT"}])
def test_others_unverified_ones_and_parts_of_files_do_not_wait(transaction: Connection, other: dict[str, str]) -> None:
    put(transaction, "1")
    put(transaction, "2", **other)
    assert waiting(transaction).ids == ("1",)
