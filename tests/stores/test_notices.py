from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from stores import notices, tables
from stores.database import open_database
from stores.notices import MOST, MOST_OF_A_PEER, NewNotice, Notice
from stores.schema import migrate

AT = datetime(2026, 2, 3, 9, tzinfo=UTC)


@pytest.fixture
def transaction(database_url: str) -> Iterator[Connection]:
    opened = open_database(database_url)
    with opened.engine.connect().execution_options(writing=True) as connection, connection.begin():
        yield connection
    opened.close()


def note(transaction: Connection, code: str, **other: str) -> None:
    told = {"tenant": "north", "provider": "corner", "connection": "one", "handshake": "code", "peer": "192.0.2.1"}
    shown = orjson.dumps({"code": code})[::-1]
    notices.note(transaction, NewNotice(at=AT, shown=shown, **{**told, **other}))


def listed(transaction: Connection, **filters: str) -> list[Notice]:
    return notices.listed(transaction, lambda sealed: sealed[::-1], filters)


def codes(transaction: Connection, **filters: str) -> list[str]:
    return [one.shown["code"] for one in listed(transaction, **filters)]


def test_a_notice_comes_back_as_it_was_with_its_values_unsealed(transaction: Connection) -> None:
    note(transaction, "a-1")
    [found] = listed(transaction)
    expected = Notice(found.id, AT, "north", "corner", "one", "code", "192.0.2.1", {"code": "a-1"})
    assert found == expected


def test_the_newest_stands_first(transaction: Connection) -> None:
    note(transaction, "a")
    note(transaction, "b")
    assert codes(transaction) == ["b", "a"]


def test_filters_choose_by_column(transaction: Connection) -> None:
    note(transaction, "a")
    note(transaction, "b", provider="acme", connection="two")
    assert codes(transaction, provider="acme") == ["b"]
    assert codes(transaction, connection="one") == ["a"]


def test_of_one_address_only_the_newest_few_are_kept(transaction: Connection) -> None:
    for n in range(MOST_OF_A_PEER + 3):
        note(transaction, f"{n}")
    assert codes(transaction) == [f"{n}" for n in range(MOST_OF_A_PEER + 2, 2, -1)]


def test_a_stranger_pushes_out_nothing_that_came_from_another_address(transaction: Connection) -> None:
    note(transaction, "wanted", peer="198.51.100.1")
    for n in range(50):
        note(transaction, f"{n}")
    assert "wanted" in codes(transaction)


def test_of_one_handshake_only_so_many_are_kept_whatever_the_addresses(transaction: Connection) -> None:
    for n in range(MOST + 5):
        note(transaction, f"{n}", peer=f"192.0.2.{n}")
    assert len(codes(transaction)) == MOST


@pytest.mark.parametrize("other", [{"provider": "acme"}, {"connection": "two"}, {"handshake": "confirmation"}])
def test_handshakes_of_others_keep_their_own(transaction: Connection, other: dict[str, str]) -> None:
    note(transaction, "kept", **other)
    for n in range(MOST_OF_A_PEER):
        note(transaction, f"{n}")
    assert len(codes(transaction)) == MOST_OF_A_PEER + 1


def test_removed_notices_are_gone_and_unknown_ids_are_told(transaction: Connection) -> None:
    note(transaction, "a")
    note(transaction, "b")
    newest = listed(transaction)[0].id
    assert notices.remove(transaction, [newest, newest + 100]) == [newest + 100]
    assert codes(transaction) == ["a"]


def test_an_id_is_never_given_again(transaction: Connection) -> None:
    note(transaction, "a")
    first = listed(transaction)[0].id
    notices.remove(transaction, [first])
    note(transaction, "b")
    assert listed(transaction)[0].id > first


@pytest.mark.parametrize("server", ["sqlite", "postgres"])
def test_the_migrations_make_the_table_that_is_described(
    server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/new.db" if server == "sqlite" else request.getfixturevalue("postgres_database")
    database = open_database(url)
    migrate(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _of_notices})
        assert compare_metadata(context, tables.metadata) == []
    database.close()


def _of_notices(thing: Any, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    return (name if kind == "table" else thing.table.name) == "notices"
