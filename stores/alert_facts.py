"""What alerts measure: each question is one statement that an index answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from stores.tables import connections, deliveries, micros, moment, outbox, outcomes

_BAD = ("failed", "parked", "quarantined")
_EMPTY: ColumnElement[str] = literal_column("''")
"""Written out: a partial index is used only where the statement says what the index does."""


class Rate(NamedTuple):
    """How many deliveries came to an end, and how many of them failed, were parked or quarantined."""

    bad: int
    all: int


def id_at(at: datetime) -> str:
    """What sorts before the ids of all deliveries received from then on."""
    return f"{max(micros(at), 0) // 1000:012x}"


def id_time(id: str) -> datetime:
    """When a delivery of that id was received."""
    return moment(int(id[:12], 16) * 1000)


def failure_rate(connection: Connection, since: datetime, provider: str = "", sender: str = "") -> Rate:
    """First attempts since a time; of a provider's or a connection's deliveries received since then, if given."""
    o, d = outcomes.c, deliveries.c
    statement: Select[Any] = select(o.state, func.count()).where(o.attempt == 1).group_by(o.state)
    if provider or sender:
        statement = statement.join(deliveries, d.id == o.delivery).where(d.id >= id_at(since))
        statement = statement.where(d.provider == provider) if provider else statement
        statement = statement.where(d.connection == sender) if sender else statement
    else:
        statement = statement.where(o.at >= since)
    found: dict[str, int] = {row[0]: row[1] for row in connection.execute(statement)}
    return Rate(sum(found.get(state, 0) for state in _BAD), sum(found.values()))


def outbox_since(connection: Connection) -> datetime | None:
    """When the oldest row was written that waits for the bus; parked ones do not wait."""
    return connection.scalar(select(outbox.c.created_at).where(outbox.c.shard >= 0).order_by(outbox.c.id).limit(1))


def quarantined(connection: Connection, provider: str = "", sender: str = "") -> int:
    """Requests in quarantine."""
    d = deliveries.c
    statement = select(func.count()).where(d.quarantined != _EMPTY)
    statement = statement.where(d.provider == provider) if provider else statement
    statement = statement.where(d.connection == sender) if sender else statement
    return connection.scalar(statement) or 0


class Sender(NamedTuple):
    """An enabled connection and the id of its newest delivery, "" before the first."""

    id: str
    tenant: str
    provider: str
    newest: str


def senders(connection: Connection) -> list[Sender]:
    """Every connection that is not disabled."""
    c, d = connections.c, deliveries.c
    newest = select(func.max(d.id)).where(d.connection == c.id).scalar_subquery()
    statement = select(c.id, c.tenant, c.provider, func.coalesce(newest, "")).where(c.disabled_at.is_(None))
    return [Sender(*row) for row in connection.execute(statement.order_by(c.id))]
