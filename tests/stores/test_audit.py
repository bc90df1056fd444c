"""The audit's chain: what was changed or removed is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update

from stores import audit, tables
from stores.database import Database, open_database

START = datetime(2026, 1, 18, 12, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = open_database(database_url)
    write(made, lambda c: [audit.append(c, START + timedelta(seconds=n), "me", "did", str(n)) for n in range(5)])
    yield made
    made.close()


def write(database: Database, job: Callable[[Connection], Any]) -> Any:
    with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
        return job(connection)


def ids(database: Database) -> list[int]:
    return write(database, lambda c: list(c.scalars(select(tables.audit.c.id).order_by(tables.audit.c.id))))


def test_a_chain_that_nobody_touched_holds(database: Database) -> None:
    assert write(database, audit.first_broken) == (5, None)


@pytest.mark.parametrize("column", ["who", "what", "target", "why", "data", "at", "previous", "hash"])
def test_a_changed_entry_is_found(database: Database, column: str) -> None:
    third = ids(database)[2]
    value: Any = START if column == "at" else "x"
    write(database, lambda c: c.execute(update(tables.audit).where(tables.audit.c.id == third).values({column: value})))
    assert write(database, audit.first_broken) == (2, third)


@pytest.mark.parametrize(("removed", "count", "found"), [(0, 0, 1), (2, 2, 3), (4, 4, 4)])
def test_a_removed_entry_is_found_wherever_it_stood(database: Database, removed: int, count: int, found: int) -> None:
    before = ids(database)
    write(database, lambda c: c.execute(delete(tables.audit).where(tables.audit.c.id == before[removed])))
    assert write(database, audit.first_broken) == (count, before[found])


def test_what_is_appended_after_a_removal_from_the_end_does_not_hide_it(database: Database) -> None:
    before = ids(database)
    write(database, lambda c: c.execute(delete(tables.audit).where(tables.audit.c.id == before[-1])))
    write(database, lambda c: audit.append(c, START, "me", "did", "later"))
    assert write(database, audit.first_broken)[1] is not None


def test_an_audit_that_was_emptied_is_found(database: Database) -> None:
    last = ids(database)[-1]
    write(database, lambda c: c.execute(delete(tables.audit)))
    assert write(database, audit.first_broken) == (0, last)
