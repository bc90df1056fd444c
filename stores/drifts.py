"""What payloads showed that was new: each thing once for a feed, with a notice, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from stores.database import put_rows, upsert
from stores.tables import drifts, notices, positions, shapes

MOST = 50
"""Drifts noted of one feed; beyond them none is."""


class NewDrift(NamedTuple):
    """A drift of a feed, met `times` times; `shown` is the notice's sealed JSON, b"" where one was made before."""

    provider: str
    feed: str
    kind: str
    path: str
    value: str
    times: int
    tenant: str
    connection: str
    shown: bytes


def known(connection: Connection, provider: str, feed: str) -> set[tuple[str, str, str]]:
    """Kind, path and value of all that was noted of a feed."""
    d = drifts.c
    chosen = select(d.kind, d.path, d.value).where(d.provider == provider, d.feed == feed)
    return {(row.kind, row.path, row.value) for row in connection.execute(chosen)}


def note(connection: Connection, at: datetime, found: Iterable[NewDrift]) -> list[bool]:
    """Counts what was noted before, and notes what is new. Says of each whether a notice was made."""
    return [_noted(connection, at, one) for one in found]


def _noted(connection: Connection, at: datetime, one: NewDrift) -> bool:
    d = drifts.c
    its = (d.provider == one.provider, d.feed == one.feed)
    same = (*its, d.kind == one.kind, d.path == one.path, d.value == one.value)
    if connection.execute(update(drifts).where(*same).values(last_at=at, count=d.count + one.times)).rowcount:
        return False
    if not one.shown or (connection.scalar(select(func.count()).select_from(drifts).where(*its)) or 0) >= MOST:
        return False
    row = {
        "provider": one.provider, "feed": one.feed, "kind": one.kind, "path": one.path, "value": one.value,
        "first_at": at, "last_at": at, "count": one.times,
    }  # fmt: skip
    if not connection.execute(upsert(connection)(drifts).values(row).on_conflict_do_nothing()).rowcount:
        return False
    connection.execute(
        insert(notices).values(
            at=at, tenant=one.tenant, provider=one.provider, connection=one.connection, handshake="", peer="",
            shown=one.shown, kind="drift", feed=one.feed,
        )
    )  # fmt: skip
    return True


def learned(connection: Connection, provider: str, feed: str) -> tuple[int, dict[str, Any] | None]:
    """How many payloads of a feed were learned, and what they showed."""
    c = shapes.c
    row = connection.execute(select(c.seen, c.shape).where(c.provider == provider, c.feed == feed)).first()
    return (row.seen, row.shape) if row is not None else (0, None)


def learn(connection: Connection, told: Iterable[Mapping[str, Any]]) -> None:
    """Keeps what payloads showed: provider, feed, seen, shape."""
    put_rows(connection, shapes, list(told))


def position(connection: Connection, name: str) -> str | None:
    """How far a reader of deliveries has come; None for one that begins."""
    found: str | None = connection.scalar(select(positions.c.position).where(positions.c.name == name))
    return found


def move(connection: Connection, name: str, to: str) -> None:
    put_rows(connection, positions, [{"name": name, "position": to}])
