"""Rows that have been kept for long enough, removed a few at a time: each function is one short transaction's work.

A delivery goes whole: request, outcomes, failures that are resolved, and the idempotency keys that it claimed, so
that a key never outlives the request that explains it. One that is in flight, waits for the bus or has an open
failure stays. What goes is added up, so that the ledger still balances.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, delete, func, or_, select, tuple_

from stores import counters
from stores.tables import deliveries, failures, in_flight, keys, micros, outbox, outcomes, published

RECORDED, PUBLISHED, BEFORE = "_removed_recorded", "_removed_published", "_removed_before"
"""Counters: commands of removed outcomes and of removed published rows; before when deliveries were removed."""
GRACE: Final = timedelta(days=1)
"""A window that has passed may still be asked for by a delivery that is recovered late."""

Place = tuple[datetime, str]


class Removed(NamedTuple):
    """Deliveries removed, how many were looked at, and where to go on; `next` None: at the end."""

    deliveries: int
    next: Place | None


def remove_deliveries(connection: Connection, before: datetime, limit: int, after: Place | None) -> Removed:
    """Looks at the `limit` oldest deliveries behind `after` and removes those that need not be kept."""
    d = deliveries.c
    old = d.received_at < before
    if after is not None:
        old = and_(old, or_(d.received_at > after[0], and_(d.received_at == after[0], d.id > after[1])))
    oldest = (
        select(d.received_at, d.id)
        .where(old)
        .order_by(d.received_at, d.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    seen = connection.execute(oldest).all()
    if not seen:
        return Removed(0, None)
    ids = [row.id for row in seen]
    gone = [id for id in ids if id not in _kept(connection, ids)]
    if gone:
        _remove(connection, gone, before)
    return Removed(len(gone), (seen[-1].received_at, seen[-1].id) if len(seen) == limit else None)


def _kept(connection: Connection, ids: list[str]) -> set[str]:
    f = failures.c
    # What failed to verify is bounded by the quarantine, and resolves by nobody's hand.
    open_failure = and_(f.delivery.in_(ids), f.resolved_at.is_(None), f["class"] != "auth")
    return {
        *connection.scalars(select(in_flight.c.delivery).where(in_flight.c.delivery.in_(ids))),
        *connection.scalars(select(f.delivery).where(open_failure)),
        *connection.scalars(select(outbox.c.delivery).where(outbox.c.delivery.in_(ids))),
    }


def _remove(connection: Connection, ids: list[str], before: datetime) -> None:
    d, o, k = deliveries.c, outcomes.c, keys.c
    recorded = connection.scalar(select(func.coalesce(func.sum(o.commands), 0)).where(o.delivery.in_(ids))) or 0
    claimed = (
        select(d.tenant, d.provider, o.key_text)
        .select_from(deliveries.join(outcomes, o.delivery == d.id))
        .where(d.id.in_(ids), o.key_text != "")
    )
    own = [tuple(row) for row in connection.execute(claimed)]
    if own:
        named = tuple_(k.tenant, k.provider, k.key_text).in_(own)
        connection.execute(delete(keys).where(named, k.delivery.in_(ids)))
    connection.execute(delete(failures).where(failures.c.delivery.in_(ids)))
    connection.execute(delete(outcomes).where(o.delivery.in_(ids)))
    connection.execute(delete(deliveries).where(d.id.in_(ids)))
    counters.add(connection, RECORDED, int(recorded))
    counters.raise_to(connection, BEFORE, micros(before))


def remove_published(connection: Connection, before: datetime, limit: int) -> int:
    """Removes the oldest rows of what the relay took to the bus; returns how many."""
    p = published.c
    oldest = select(p.id, p.at, p.count).order_by(p.id).limit(limit).with_for_update(skip_locked=True)
    gone = [row for row in connection.execute(oldest).all() if row.at < before]
    if gone:
        connection.execute(delete(published).where(p.id.in_([row.id for row in gone])))
        counters.add(connection, PUBLISHED, sum(row._mapping["count"] for row in gone))
    return len(gone)


def remove_windows(connection: Connection, now: datetime, limit: int) -> int:
    """Removes keys whose window has passed; returns how many."""
    k = keys.c
    past = (
        select(k.tenant, k.provider, k.key_text)
        .where(k.until < now - GRACE)
        .order_by(k.until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    gone = [tuple(row) for row in connection.execute(past)]
    if gone:
        connection.execute(delete(keys).where(tuple_(k.tenant, k.provider, k.key_text).in_(gone), k.until < now))
    return len(gone)


def bus_is_behind(connection: Connection, rows: int) -> bool:
    """Whether more than so many rows wait for the bus."""
    waiting = select(outbox.c.id).limit(rows + 1).subquery()
    return (connection.scalar(select(func.count()).select_from(waiting)) or 0) > rows
