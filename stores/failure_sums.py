"""What the topic of failures is told as a sum a minute: duplicates, and requests that did not verify.

Whoever counts inserts an open row in the transaction of what is counted. Closing adds a minute's open rows up
into a closed one in one transaction, so that each is in exactly one sum. A row that commits late makes a second
sum of its minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from stores.tables import failure_sums, micros

MINUTE: Final = 60_000_000
"""In microseconds."""
_GROUP = ("minute", "tenant", "provider", "connection", "feed", "class", "code")
_CLOSED_AT_ONCE = 5000


class Sum(NamedTuple):
    """How many failures of one kind one connection had within the minute that begins at `minute`."""

    id: int
    minute: datetime
    tenant: str
    provider: str
    connection: str
    feed: str
    cls: str
    code: str
    times: int


def add(connection: Connection, at: datetime, cls: str, code: str, owner: Mapping[str, str]) -> None:
    """Counts one. `owner`: tenant, provider, connection, feed."""
    moment = micros(at)
    values = {**owner, "minute": moment - moment % MINUTE, "class": cls, "code": code, "count": 1, "closed": False}
    connection.execute(insert(failure_sums).values(values))


def open_before(connection: Connection, minute: datetime) -> bool:
    """Whether a minute before this one has open rows."""
    s = failure_sums.c
    return connection.scalar(select(s.id).where(~s.closed, s.minute < minute).limit(1)) is not None


def close(connection: Connection, minute: datetime) -> int:
    """Adds up open rows of the minutes before this one; returns how many rows were added up.

    The rows are named by their ids: what commits meanwhile is added up the next time.
    """
    s = failure_sums.c
    chosen = list(
        connection.scalars(select(s.id).where(~s.closed, s.minute < minute).order_by(s.id).limit(_CLOSED_AT_ONCE))
    )
    for start in range(0, len(chosen), 500):
        own = s.id.in_(chosen[start : start + 500])
        sums = select(*(s[name] for name in _GROUP), func.sum(s.count)).where(own).group_by(*(s[n] for n in _GROUP))
        rows = [dict(zip((*_GROUP, "count"), row, strict=True)) | {"closed": True} for row in connection.execute(sums)]
        connection.execute(insert(failure_sums), [{**row, "count": int(row["count"])} for row in rows])
        connection.execute(delete(failure_sums).where(own))
    return len(chosen)


def closed(connection: Connection, limit: int) -> list[Sum]:
    """The oldest sums that wait to be told."""
    s = failure_sums.c
    columns = (s.id, *(s[name] for name in _GROUP), s["count"])
    return [Sum(*row) for row in connection.execute(select(*columns).where(s.closed).order_by(s.id).limit(limit))]


def told(connection: Connection, ids: Sequence[int]) -> None:
    """Removes sums that have been told."""
    for start in range(0, len(ids), 500):
        connection.execute(delete(failure_sums).where(failure_sums.c.id.in_(ids[start : start + 500])))
