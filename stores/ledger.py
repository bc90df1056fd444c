"""The ledger: every delivery in one state, every command of an outcome in the outbox or published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, func, select, true

from stores import counters
from stores.outbox import COMMANDS
from stores.tables import in_flight, outbox, outcomes, published


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts. `difference` is recorded − (pending + published) commands, and is 0 where nothing is lost."""

    states: dict[str, int]
    apart: dict[str, int]
    recorded: int
    pending: int
    published: int

    @property
    def difference(self) -> int:
        return self.recorded - self.pending - self.published


def ledger(connection: Connection) -> Ledger:
    """Counted in one read transaction."""
    o = outcomes.c
    newest = select(o.delivery, func.max(o.attempt).label("attempt")).group_by(o.delivery).subquery()
    latest = outcomes.join(newest, (o.delivery == newest.c.delivery) & (o.attempt == newest.c.attempt))
    by_state = select(o.state, func.count()).select_from(latest).group_by(o.state)
    states: dict[str, int] = {row[0]: row[1] for row in connection.execute(by_state)}
    finished = select(o.delivery).where(o.delivery == in_flight.c.delivery).exists()
    flying = connection.scalar(select(func.count()).select_from(in_flight).where(~finished)) or 0
    if flying:
        states["in_flight"] = flying
    written, waiting, sent = (
        int(connection.scalar(select(func.coalesce(func.sum(column), 0)).where(of)) or 0)
        for column, of in (
            (o.commands, true()),
            (outbox.c.count, outbox.c.topic == COMMANDS),
            (published.c.count, true()),
        )
    )
    return Ledger(states, counters.all_counts(connection), written, waiting, sent)


def recorded_ids(connection: Connection) -> Iterator[tuple[str, list[str]]]:
    """(delivery, ids of the commands that one of its attempts wrote), for every attempt that wrote any."""
    for delivery, ids in connection.execute(
        select(outcomes.c.delivery, outcomes.c.command_ids).where(outcomes.c.commands > 0)
    ):
        yield delivery, orjson.loads(ids)


def pending_ids(connection: Connection) -> Iterator[str]:
    """The ids of the commands that wait for the bus."""
    for (ids,) in connection.execute(select(outbox.c.ids).where(outbox.c.topic == COMMANDS)):
        yield from ids
