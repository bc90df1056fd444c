"""What operators did: append-only, each entry chained to the one before by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from stores.tables import audit, micros

_FIRST = "0" * 64


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
    previous = connection.scalar(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)) or _FIRST
    text = orjson.dumps(data or {}, option=orjson.OPT_SORT_KEYS).decode()
    values = {"at": at, "who": who, "what": what, "target": target, "why": why, "data": text, "previous": previous}
    connection.execute(insert(audit).values(**values, hash=_hash(at, who, what, target, why, text, previous)))


def _hash(at: datetime, *parts: str) -> str:
    return hashlib.sha256(orjson.dumps([micros(at), *parts])).hexdigest()


def entries(connection: Connection, limit: int = 100) -> list[Entry]:
    """The newest first."""
    return [Entry(*row) for row in connection.execute(select(audit).order_by(audit.c.id.desc()).limit(limit))]


def first_broken(connection: Connection) -> tuple[int, int | None]:
    """How many entries were verified, and the id of the first that does not fit the chain (None: all do)."""
    previous, count = _FIRST, 0
    for row in connection.execute(select(audit).order_by(audit.c.id)):
        e = Entry(*row)
        if e.previous != previous or e.hash != _hash(e.at, e.who, e.what, e.target, e.why, e.data, e.previous):
            return count, e.id
        previous, count = e.hash, count + 1
    return count, None
