from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, event, insert, select

from flows.sampling import Sampling
from stores import ledger, outbox
from stores.database import Database, open_database
from stores.tables import outbox as outbox_table
from stores.tables import outcomes

T = TypeVar("T")
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    yield opened
    opened.close()


def write(database: Database, job: Callable[[Connection], Any]) -> None:
    with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
        job(connection)


def wait_for_bus(database: Database, commands: int, seconds: int, shard: int = 0, topic: str = outbox.COMMANDS) -> None:
    ids = [f"{seconds}-{n}" for n in range(commands)]
    values = {
        "delivery": "d", "attempt": 1, "shard": shard, "kafka_key": "k", "count": commands, "ids": ids, "topic": topic,
        "data": outbox.pack([b"{}"] * commands), "created_at": START + timedelta(seconds=seconds),
    }  # fmt: skip
    write(database, lambda connection: connection.execute(insert(outbox_table).values(values)))


def conclude(database: Database, commands: int) -> None:
    texts = {c.name: "" for c in outcomes.c if c.name not in ("attempt", "at", "commands", "stale", "results")}
    numbers = {"attempt": 1, "at": START, "commands": commands, "stale": 0, "results": b""}
    write(database, lambda connection: connection.execute(insert(outcomes).values({**texts, **numbers})))


def sampled(database: Database, after: float = 100.0) -> Sampling:
    async def read(job: Callable[[Connection], T], /) -> T:
        with database.engine.connect() as connection:
            return job(connection)

    async def count() -> Sampling:
        sampling = Sampling(read, lambda: START + timedelta(seconds=after))
        await sampling.count_outbox()
        await sampling.count_ledger()
        return sampling

    return asyncio.run(count())


def test_an_empty_outbox_has_no_age(database: Database) -> None:
    found = sampled(database)
    assert (found.age, *found.waiting[1:], found.difference) == (0.0, 0, 0, 0, 0)


def test_the_age_is_that_of_the_oldest_row_that_waits_and_parked_ones_are_told_apart(database: Database) -> None:
    wait_for_bus(database, 1, seconds=10, shard=-3)
    wait_for_bus(database, 2, seconds=40)
    wait_for_bus(database, 3, seconds=70, topic="inventory.events")
    found = sampled(database)
    assert found.age == 60.0
    assert found.waiting[1:] == (2, 5, 1)


def test_a_command_that_was_recorded_and_is_nowhere_is_the_difference(database: Database) -> None:
    conclude(database, commands=5)
    wait_for_bus(database, 3, seconds=0)
    assert sampled(database).difference == 2


def test_published_commands_and_events_of_the_views_make_no_difference(database: Database) -> None:
    conclude(database, commands=3)
    wait_for_bus(database, 3, seconds=0)
    wait_for_bus(database, 2, seconds=0, topic="inventory.events")
    write(
        database,
        lambda c: outbox.mark_published(c, list(c.scalars(select(outbox_table.c.id))), START),
    )
    assert sampled(database).difference == 0


def test_what_cannot_be_counted_is_no_number() -> None:
    async def away(job: Callable[[Connection], T], /) -> T:
        raise ConnectionError("away")

    async def count() -> Sampling:
        sampling = Sampling(away, lambda: START)
        await sampling.count_outbox()
        await sampling.count_ledger()
        return sampling

    found = asyncio.run(count())
    assert all(map(math.isnan, (found.age, *found.waiting[1:], found.difference)))


def test_the_difference_is_read_in_one_statement_so_that_nothing_moves_meanwhile(database: Database) -> None:
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    with database.engine.connect() as connection:
        ledger.difference(connection)
    assert len([one for one in statements if one.lstrip().startswith("SELECT")]) == 1
