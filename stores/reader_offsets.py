"""How far each reader of a topic has read, by the reader's name: moved in the transaction of what was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from stores.tables import projections


class Moved(Exception):
    """Another reader of the name has moved an offset: what was worked out is void."""


def offsets(connection: Connection, name: str) -> dict[int, int]:
    """The offset that comes next, by partition."""
    rows = select(projections.c.partition, projections.c.next).where(projections.c.name == name)
    return {row.partition: row.next for row in connection.execute(rows)}


def advance(connection: Connection, name: str, moves: Mapping[int, tuple[int, int]]) -> None:
    """Moves offsets, (from, to) by partition. Raises Moved where one stands elsewhere."""
    for partition, (before, after) in sorted(moves.items()):
        mine = (projections.c.name == name, projections.c.partition == partition)
        if connection.execute(
            update(projections).where(*mine, projections.c.next == before).values(next=after)
        ).rowcount:
            continue
        if before or connection.scalar(select(projections.c.next).where(*mine)) is not None:
            raise Moved(f"the offset of {name} in partition {partition} is no longer {before}")
        connection.execute(insert(projections).values(name=name, partition=partition, next=after))


def commit(
    connection: Connection,
    name: str,
    moves: dict[int, tuple[int, int]],
    write: Callable[[Connection, Sequence[Any]], object],
    found: Sequence[Any],
) -> bool:
    """Writes a batch and moves the offsets; False, and nothing written, where they were moved meanwhile."""
    try:
        # The transaction is also others' of the group writer: a refusal undoes this part alone.
        with connection.begin_nested():
            advance(connection, name, moves)
            if found:
                write(connection, found)
    except Moved:
        return False
    return True
