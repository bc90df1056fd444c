"""What operators did: append-only, each entry chained to the one before by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select, update

from stores.tables import audit, audit_end, micros, moment

_FIRST = "0" * 64
_CHAIN = "audit"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what to what, when and why. `data` is JSON text."""

    id: int
    at: datetime
    who: str
    what: str
    target: str
    why: str
    data: str
    previous: str
    hash: str


def append(
    connection: Connection,
    at: datetime,
    who: str,
    what: str,
    target: str,
    why: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Adds an entry. The caller's transaction holds the write lock, so the chain has one end."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE")
    # Chained to the end as it was noted, not to the last entry found: one that was removed from there is missed.
    previous = connection.scalar(select(audit_end.c.hash).where(audit_end.c.chain == _CHAIN)) or _FIRST
    text = orjson.dumps(data or {}, option=orjson.OPT_SORT_KEYS).decode()
    hash = _hash(at, who, what, target, why, text, previous)
    values = {"at": at, "who": who, "what": what, "target": target, "why": why, "data": text, "previous": previous}
    last = connection.scalar(insert(audit).values(**values, hash=hash).returning(audit.c.id))
    end = {"last": last, "hash": hash}
    if connection.execute(update(audit_end).where(audit_end.c.chain == _CHAIN).values(end)).rowcount == 0:
        connection.execute(insert(audit_end).values(chain=_CHAIN, **end))


def _hash(at: datetime, *parts: str) -> str:
    return hashlib.sha256(orjson.dumps([micros(at), *parts])).hexdigest()


def entries(connection: Connection, limit: int = 100) -> list[Entry]:
    """The newest first."""
    return [Entry(*row) for row in connection.execute(select(audit).order_by(audit.c.id.desc()).limit(limit))]


def all_entries(connection: Connection, since: datetime | None = None) -> Iterator[Entry]:
    """Every entry, the oldest first, a few at a time."""
    statement = select(audit).order_by(audit.c.id)
    if since is not None:
        statement = statement.where(audit.c.at >= since)
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(statement):
        yield Entry(*row)


def following(connection: Connection, after: int, last: int, since: datetime | None, limit: int) -> list[Entry]:
    """The entries that come next behind one, up to `last`, the oldest first."""
    statement = select(audit).where(audit.c.id > after, audit.c.id <= last).order_by(audit.c.id).limit(limit)
    if since is not None:
        statement = statement.where(audit.c.at >= since)
    return [Entry(*row) for row in connection.execute(statement)]


def first_broken(connection: Connection) -> tuple[int, int | None]:
    """How many entries were verified, and the id of the first that does not fit the chain (None: all do).

    Where entries were removed from the end, that is the id of the last one that there was.
    """
    # Read first: what is appended meanwhile is beyond this end, and chained to it.
    end = connection.execute(select(audit_end.c.last, audit_end.c.hash).where(audit_end.c.chain == _CHAIN)).first()
    previous, count, reached = _FIRST, 0, end is None
    for e in all_entries(connection):
        if end is None or e.previous != previous or e.hash != hash_of(e):
            return count, e.id
        reached = reached or (e.id, e.hash) == (end.last, end.hash)
        previous, count = e.hash, count + 1
    return count, None if reached or end is None else end.last


def hash_of(e: Entry) -> str:
    """What the hash of an entry has to be."""
    return _hash(e.at, e.who, e.what, e.target, e.why, e.data, e.previous)


def to_line(entry: Entry) -> str:
    """An entry as one line of JSON; `at` in microseconds since 1970, as the hash covers it."""
    return orjson.dumps({**asdict(entry), "at": micros(entry.at)}).decode()


def from_line(line: str) -> Entry:
    """What `to_line` wrote. Raises ValueError, TypeError and KeyError."""
    read = orjson.loads(line)
    return Entry(**{**read, "at": moment(read["at"])})


def holds(connection: Connection, entry: Entry) -> bool:
    """Whether the audit still has an entry as it was exported."""
    row = connection.execute(select(audit).where(audit.c.id == entry.id)).first()
    return row is not None and Entry(*row) == entry
