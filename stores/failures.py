"""Failures of deliveries, as rows to be understood, mended and resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from stores.causes import About
from stores.tables import failures

CHUNK = 500


@dataclass(frozen=True, slots=True)
class StoredFailure:
    """A failure as stored. `data` is what schemas/failure.schema.json describes."""

    id: int
    delivery: str
    attempt: int
    at: datetime
    tenant: str
    provider: str
    connection: str
    feed: str
    cls: str
    code: str
    data: Mapping[str, Any]
    resolved_at: datetime | None
    resolved_by: str | None
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Cause:
    """Open failures of one class and code of one feed: how many, of how many deliveries, since when."""

    provider: str
    feed: str
    cls: str
    code: str
    failures: int
    deliveries: int
    first: datetime
    last: datetime


_COLUMNS = [column for column in failures.c if column.name not in About._fields]


def _chosen(statement: Select[Any], filters: Mapping[str, Any]) -> Select[Any]:
    for name in ("tenant", "provider", "connection", "feed", "class", "code", "delivery"):
        if filters.get(name):
            statement = statement.where(failures.c[name] == filters[name])
    if not filters.get("resolved"):
        statement = statement.where(failures.c.resolved_at.is_(None))
    return statement


def listed(connection: Connection, filters: Mapping[str, Any], *, limit: int = 50) -> list[StoredFailure]:
    """The newest first. `filters`: tenant, provider, connection, feed, class, code, delivery, resolved (bool)."""
    statement = _chosen(select(*_COLUMNS), filters).order_by(failures.c.id.desc()).limit(limit)
    return [StoredFailure(*row) for row in connection.execute(statement)]


def get(connection: Connection, id: int) -> StoredFailure | None:
    row = connection.execute(select(*_COLUMNS).where(failures.c.id == id)).first()
    return None if row is None else StoredFailure(*row)


def causes(connection: Connection, filters: Mapping[str, Any]) -> list[Cause]:
    """Open failures grouped by what caused them, the most frequent first."""
    f = failures.c
    count = func.count()
    grouped = (f.provider, f.feed, f["class"], f.code)
    statement = _chosen(
        select(*grouped, count, func.count(f.delivery.distinct()), func.min(f.at), func.max(f.at)), filters
    )
    return [Cause(*row) for row in connection.execute(statement.group_by(*grouped).order_by(count.desc()))]


def deliveries_of(connection: Connection, filters: Mapping[str, Any]) -> list[str]:
    """The deliveries that the chosen failures belong to, oldest first."""
    statement = _chosen(select(failures.c.delivery, func.min(failures.c.id)), filters)
    return [
        row[0] for row in connection.execute(statement.group_by(failures.c.delivery).order_by(func.min(failures.c.id)))
    ]


def resolve(connection: Connection, id: int, who: str, at: datetime) -> bool:
    """False when there is no such open failure."""
    f = failures.c
    statement = update(failures).where(f.id == id, f.resolved_at.is_(None)).values(resolved_at=at, resolved_by=who)
    return connection.execute(statement).rowcount > 0


def resolve_delivery(connection: Connection, delivery: str, before_attempt: int, who: str, at: datetime) -> int:
    """Resolves what earlier attempts at a delivery left open; returns how many."""
    f = failures.c
    statement = (
        update(failures)
        .where(f.delivery == delivery, f.attempt < before_attempt, f.resolved_at.is_(None))
        .values(resolved_at=at, resolved_by=who)
    )
    return connection.execute(statement).rowcount


def untold(connection: Connection, limit: int) -> list[StoredFailure]:
    """The oldest failures that the topic of failures has not yet had."""
    f = failures.c
    statement = select(*_COLUMNS).where(f.told_at.is_(None)).order_by(f.id).limit(limit)
    return [StoredFailure(*row) for row in connection.execute(statement)]


def told(connection: Connection, ids: Sequence[int], at: datetime) -> None:
    """Says that the topic of failures has them."""
    f = failures.c
    for start in range(0, len(ids), CHUNK):
        connection.execute(update(failures).where(f.id.in_(ids[start : start + CHUNK])).values(told_at=at))
