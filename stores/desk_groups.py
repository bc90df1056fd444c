"""Open failures grouped by what causes them and what mends it.

A cause is a class and a code at a provider's feed and, for an id without a mapping, that very id: the failure's
facts name its kind, its store and the id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from stores import failures as failures_of
from stores.tables import failures, outcomes

_F = failures.c


@dataclass(frozen=True, slots=True)
class Cause:
    """What names a group. `kind`, `within` and `external_id` are "" where no id is concerned."""

    tenant: str
    provider: str
    feed: str
    cls: str
    code: str
    kind: str = ""
    within: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A cause, how many open failures of how many deliveries it has, since when and until when."""

    cause: Cause
    failures: int
    deliveries: int
    first: datetime
    last: datetime


def _chosen(statement: Any, cause: Cause) -> Any:
    return statement.where(
        _F.resolved_at.is_(None), _F.code == cause.code, _F["class"] == cause.cls, _F.tenant == cause.tenant,
        _F.provider == cause.provider, _F.feed == cause.feed, _F.kind == cause.kind, _F.within == cause.within,
        _F.external_id == cause.external_id,
    )  # fmt: skip


def groups(
    connection: Connection, *, provider: str = "", tenant: str = "", cls: str = "", limit: int = 200
) -> list[Group]:
    """The groups that hold up most deliveries first."""
    # In the order of the index that alone is read: whoever groups need not sort.
    keys = (_F.tenant, _F.provider, _F.feed, _F["class"], _F.code, _F.kind, _F.within, _F.external_id)
    held = func.count(_F.delivery.distinct())
    statement = (
        select(*keys, func.count(), held, func.min(_F.at), func.max(_F.at))
        .where(_F.resolved_at.is_(None))
        .group_by(*keys)
        .order_by(held.desc(), func.max(_F.at).desc())
        .limit(limit)
    )
    for column, value in ((_F.provider, provider), (_F.tenant, tenant), (_F["class"], cls)):
        statement = statement.where(column == value) if value else statement
    return [Group(Cause(*row[:8]), *row[8:]) for row in connection.execute(statement)]


def by_class(connection: Connection, since: datetime) -> dict[str, int]:
    """Failures since a time by class, resolved ones too."""
    statement = select(_F["class"], func.count()).where(_F.at >= since).group_by(_F["class"]).order_by(_F["class"])
    return {row[0]: row[1] for row in connection.execute(statement)}


def group(connection: Connection, cause: Cause) -> Group | None:
    """One group as it stands; None where nothing of it is open."""
    statement = _chosen(
        select(func.count(), func.count(_F.delivery.distinct()), func.min(_F.at), func.max(_F.at)), cause
    )
    row = connection.execute(statement).one()
    return Group(cause, *row) if row[0] else None


def deliveries_of(connection: Connection, cause: Cause, most: int) -> list[str]:
    """The deliveries that a cause holds up, oldest first."""
    statement = _chosen(select(_F.delivery).distinct(), cause).order_by(_F.delivery).limit(most)
    return list(connection.scalars(statement))


def connections_of(connection: Connection, cause: Cause, most: int) -> list[str]:
    """The connections whose deliveries a cause holds up."""
    statement = _chosen(select(_F.connection).distinct(), cause).order_by(_F.connection).limit(most)
    return list(connection.scalars(statement))


def sample(connection: Connection, cause: Cause) -> dict[str, Any]:
    """One failure of a group, the newest: its message, next step and place say what all of them have."""
    found: dict[str, Any] | None = connection.scalar(_chosen(select(_F.data), cause).order_by(_F.id.desc()).limit(1))
    return found or {}


def superseded(connection: Connection, deliveries: Iterable[str], who: str, at: datetime) -> None:
    """Resolves what earlier attempts at deliveries left open: the latest attempt says what is still wrong."""
    for id in deliveries:
        latest = connection.scalar(select(func.max(outcomes.c.attempt)).where(outcomes.c.delivery == id))
        if latest is not None:
            failures_of.resolve_delivery(connection, id, latest, who, at)
