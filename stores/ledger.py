"""The ledger: every delivery in one state, every command of an outcome in the outbox or published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, func, select, true

from stores import counters
from stores.outbox import COMMANDS
from stores.retention import BEFORE, PUBLISHED, RECORDED
from stores.tables import counters as counted
from stores.tables import in_flight, moment, outbox, outcomes, published


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
    return Ledger(states, counters.all_counts(connection), *_commands(connection))


def difference(connection: Connection) -> int:
    """Commands recorded less those pending and published."""
    recorded, pending, sent = _commands(connection)
    return recorded - pending - sent


def _commands(connection: Connection) -> tuple[int, int, int]:
    """Commands recorded, pending and published, in one statement: whatever moves meanwhile, it sees one moment."""
    sums = (
        select(func.coalesce(func.sum(column), 0)).where(of).scalar_subquery()
        for column, of in (
            (outcomes.c.commands, true()),
            (outbox.c.count, outbox.c.topic == COMMANDS),
            (published.c.count, true()),
        )
    )
    # What retention has removed was once recorded and published.
    removed = (
        func.coalesce(select(counted.c.value).where(counted.c.name == name).scalar_subquery(), 0)
        for name in (RECORDED, PUBLISHED)
    )
    recorded, pending, sent, removed_recorded, removed_sent = connection.execute(select(*sums, *removed)).one()
    return int(recorded) + removed_recorded, int(pending), int(sent) + removed_sent


def recorded_ids(connection: Connection) -> Iterator[tuple[str, list[str]]]:
    """(delivery, ids of the commands that one of its attempts wrote), for every attempt that wrote any."""
    for delivery, ids in connection.execute(
        select(outcomes.c.delivery, outcomes.c.command_ids).where(outcomes.c.commands > 0)
    ):
        yield delivery, orjson.loads(ids)


def removed_before(connection: Connection) -> datetime | None:
    """Of deliveries received before then commands may be on the bus that are no longer recorded."""
    found = counters.value(connection, BEFORE)
    return moment(found) if found else None


def pending_ids(connection: Connection) -> Iterator[str]:
    """The ids of the commands that wait for the bus."""
    for (ids,) in connection.execute(select(outbox.c.ids).where(outbox.c.topic == COMMANDS)):
        yield from ids
