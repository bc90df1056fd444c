"""Who relays which part of the outbox: leases with fencing numbers.

A shard is the part of the outbox whose Kafka keys hash to it. Each claim raises the shard's fence; what a
holder writes is kept only while its fence still stands. Beside the shards the table has seats: a relay
takes one to be counted, so that each holds its share of the shards and no more.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from stores.database import upsert
from stores.tables import shards

SHARDS: Final = 64
SEATS: Final = range(SHARDS, 2 * SHARDS)


class Lease(NamedTuple):
    """A shard held under a fencing number."""

    shard: int
    fence: int


def shard_of(kafka_key: str) -> int:
    """The shard of a Kafka key: 0 … 63, the same on every machine and for ever."""
    return zlib.crc32(kafka_key.encode()) % SHARDS


def ensure(connection: Connection, now: datetime) -> None:
    """Inserts the shards and seats that are missing, free since `now`."""
    there = set(connection.scalars(select(shards.c.shard)))
    missing = [{"shard": n, "owner": "", "fence": 0, "lease_until": now} for n in range(SEATS.stop)]
    missing = [row for row in missing if row["shard"] not in there]
    if missing:
        # Another relay may insert them at the same moment.
        connection.execute(upsert(connection)(shards).on_conflict_do_nothing(), missing)


def hold(connection: Connection, owner: str, held: Collection[Lease], now: datetime, until: datetime) -> list[Lease]:
    """Renews what `owner` holds, gives back what is beyond its share and claims free shards up to it.

    Returns every lease held now, by shard; those missing from it have been lost or given back.
    """
    take_seat(connection, owner, now, until)
    share = -(-SHARDS // max(1, members(connection, now)))
    kept = renew(connection, owner, held, until)
    release(connection, owner, kept[share:])
    return sorted(kept[:share] + claim(connection, owner, now, until, share - len(kept[:share])))


def claim(connection: Connection, owner: str, now: datetime, until: datetime, limit: int) -> list[Lease]:
    """Takes at most `limit` shards that nobody holds at `now`."""
    if limit <= 0:
        return []
    return _claim(connection, shards.c.shard < SHARDS, owner, now, until, limit)


def renew(connection: Connection, owner: str, held: Collection[Lease], until: datetime) -> list[Lease]:
    """Prolongs leases whose fence still stands, also expired ones that nobody took; returns them."""
    if not held:
        return []
    statement = (
        update(shards).where(_held_by(owner)).values(lease_until=until).returning(shards.c.shard, shards.c.fence)
    )
    return sorted({Lease(*row) for row in connection.execute(statement)} & set(held))


def release(connection: Connection, owner: str, held: Collection[Lease]) -> None:
    """Frees shards at once, for others to claim."""
    for shard, fence in held:
        lease = and_(shards.c.shard == shard, shards.c.fence == fence, shards.c.owner == owner)
        connection.execute(update(shards).where(lease).values(owner=""))


def leave(connection: Connection, owner: str) -> None:
    """Frees everything that `owner` holds, its seat included; whoever claims it next gets a new fence."""
    connection.execute(update(shards).where(shards.c.owner == owner).values(owner=""))


def standing(connection: Connection, owner: str, held: Collection[Lease]) -> frozenset[int]:
    """The shards whose fence still stands, locked until the end of the caller's transaction."""
    statement = select(shards.c.shard, shards.c.fence).where(_held_by(owner)).order_by(shards.c.shard)
    now = {Lease(*row) for row in connection.execute(statement.with_for_update())}
    return frozenset(lease.shard for lease in now & set(held))


def take_seat(connection: Connection, owner: str, now: datetime, until: datetime) -> None:
    """Makes `owner` count as a relay until then."""
    mine = and_(shards.c.shard >= SHARDS, shards.c.owner == owner)
    if connection.execute(update(shards).where(mine).values(lease_until=until)).rowcount == 0:
        _claim(connection, shards.c.shard >= SHARDS, owner, now, until, 1)


def members(connection: Connection, now: datetime) -> int:
    """How many relays have a seat at `now`."""
    seated = and_(shards.c.shard >= SHARDS, ~_free(now))
    return connection.scalar(select(func.count()).select_from(shards).where(seated)) or 0


def _claim(
    connection: Connection, among: ColumnElement[bool], owner: str, now: datetime, until: datetime, limit: int
) -> list[Lease]:
    wanted = (
        select(shards.c.shard)
        .where(among, _free(now))
        .order_by(shards.c.shard)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # Not a subquery: PostgreSQL may run that once a row, each time with other rows within the limit.
        .cte("wanted")
    )
    statement = (
        update(shards)
        .where(shards.c.shard.in_(select(wanted.c.shard)), _free(now))
        .values(owner=owner, fence=shards.c.fence + 1, lease_until=until)
        .returning(shards.c.shard, shards.c.fence)
    )
    return sorted(Lease(*row) for row in connection.execute(statement))


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(shards.c.owner == "", shards.c.lease_until <= now)


def _held_by(owner: str) -> ColumnElement[bool]:
    return and_(shards.c.owner == owner, shards.c.shard < SHARDS)
