"""Counts of what is no delivery: handshakes, questions, requests too large, busy, unknown, evicted."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from stores.tables import counters


def add(connection: Connection, name: str, by: int = 1) -> None:
    c = counters.c
    if connection.execute(update(counters).where(c.name == name).values(value=c.value + by)).rowcount == 0:
        connection.execute(insert(counters).values(name=name, value=by))


def all_counts(connection: Connection) -> dict[str, int]:
    return {row.name: row.value for row in connection.execute(select(counters.c.name, counters.c.value))}
