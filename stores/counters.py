"""Counts of what is no delivery: handshakes, questions, requests too large, busy, unknown, evicted."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, insert, select, update

from stores.tables import counters


def add(connection: Connection, name: str, by: int = 1) -> None:
    c = counters.c
    if connection.execute(update(counters).where(c.name == name).values(value=c.value + by)).rowcount == 0:
        connection.execute(insert(counters).values(name=name, value=by))


def add_all(connection: Connection, counts: Mapping[str, int]) -> None:
    for name, by in counts.items():
        add(connection, name, by)


def value(connection: Connection, name: str) -> int:
    return connection.scalar(select(counters.c.value).where(counters.c.name == name)) or 0


def all_counts(connection: Connection) -> dict[str, int]:
    """Every count that an operator is shown; those whose name begins with an underscore are not."""
    shown = ~counters.c.name.startswith("_", autoescape=True)
    return {row.name: row.value for row in connection.execute(select(counters.c.name, counters.c.value).where(shown))}
