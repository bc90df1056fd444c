"""Counts of what is no delivery: handshakes, questions, requests too large, busy, unknown, evicted."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, case, select

from stores.database import upsert
from stores.tables import counters


def add(connection: Connection, name: str, by: int = 1) -> None:
    c = counters.c
    new = upsert(connection)(counters).values(name=name, value=by)
    connection.execute(new.on_conflict_do_update(index_elements=[c.name], set_={"value": c.value + by}))


def raise_to(connection: Connection, name: str, value: int) -> None:
    """Sets a counter that never falls."""
    c = counters.c
    new = upsert(connection)(counters).values(name=name, value=value)
    higher = case((c.value < value, value), else_=c.value)
    connection.execute(new.on_conflict_do_update(index_elements=[c.name], set_={"value": higher}))


def add_all(connection: Connection, counts: Mapping[str, int]) -> None:
    # In one order everywhere, so that two processes do not wait for each other.
    for name, by in sorted(counts.items()):
        add(connection, name, by)


def value(connection: Connection, name: str) -> int:
    return connection.scalar(select(counters.c.value).where(counters.c.name == name)) or 0


def all_counts(connection: Connection) -> dict[str, int]:
    """Every count that an operator is shown; those whose name begins with an underscore are not."""
    shown = ~counters.c.name.startswith("_", autoescape=True)
    return {row.name: row.value for row in connection.execute(select(counters.c.name, counters.c.value).where(shown))}
