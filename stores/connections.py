"""Connections: one tenant's agreement with one provider, its secrets encrypted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection as Transaction
from sqlalchemy import func, insert, or_, select, update

from engine.messages import Connection
from stores.secrets import SecretBox
from stores.tables import connection_secrets, connections


class ConnectionUnknown(LookupError):
    """There is no connection of that id."""


class ConnectionExists(ValueError):
    """A connection of that id stands already."""


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """A connection without its secrets' values. `secrets` are (name, valid from, valid until)."""

    id: str
    tenant: str
    provider: str
    keys: tuple[str, ...]
    merchant: str
    stores: tuple[str, ...]
    allow: tuple[str, ...]
    time_zone: str | None
    currency: str | None
    created_at: datetime
    disabled_at: datetime | None
    secrets: tuple[tuple[str, datetime, datetime | None], ...]
    overrides: str = ""


def add(transaction: Transaction, connection: Connection, box: SecretBox, at: datetime) -> None:
    """Raises ConnectionExists."""
    c = connections.c
    if transaction.scalar(select(c.id).where(c.id == connection.id)) is not None:
        raise ConnectionExists(connection.id)
    transaction.execute(
        insert(connections).values(
            id=connection.id, tenant=connection.tenant, provider=connection.provider, keys=list(connection.keys),
            merchant=connection.merchant, stores=list(connection.stores), allow=list(connection.allow),
            time_zone=connection.time_zone, currency=connection.currency, settings=dict(connection.settings),
            created_at=at, changed_at=at, overrides=connection.overrides or None,
        )
    )  # fmt: skip
    for name, values in connection.secrets.items():
        for value in values:
            _put_secret(transaction, connection.id, name, value, box, at)


def _put_secret(
    transaction: Transaction,
    id: str,
    name: str,
    value: bytes,
    box: SecretBox,
    at: datetime,
    until: datetime | None = None,
) -> int:
    values = {"connection": id, "name": name, "value": box.seal(value), "valid_from": at, "valid_until": until}
    number: int = transaction.scalars(
        insert(connection_secrets).values(values).returning(connection_secrets.c.id)
    ).one()
    return number


class SecretRow(NamedTuple):
    """A secret without its value."""

    id: int
    name: str
    valid_from: datetime
    valid_until: datetime | None


def add_secret(
    transaction: Transaction,
    id: str,
    name: str,
    value: bytes,
    box: SecretBox,
    at: datetime,
    until: datetime | None = None,
) -> int:
    """Adds a secret beside those that hold; returns its number. Raises ConnectionUnknown."""
    _touch(transaction, id, at)
    return _put_secret(transaction, id, name, value, box, at, until)


def secrets_of(transaction: Transaction, id: str) -> list[SecretRow]:
    """A connection's secrets, also those that have ended, the newest first. Raises ConnectionUnknown."""
    if transaction.scalar(select(connections.c.id).where(connections.c.id == id)) is None:
        raise ConnectionUnknown(id)
    s = connection_secrets.c
    statement = select(s.id, s.name, s.valid_from, s.valid_until).where(s.connection == id).order_by(s.id.desc())
    return [SecretRow(*row) for row in transaction.execute(statement)]


def expire_secret(transaction: Transaction, id: str, number: int, until: datetime, at: datetime) -> None:
    """Has one secret of a connection end then. Raises ConnectionUnknown."""
    _touch(transaction, id, at)
    s = connection_secrets.c
    transaction.execute(update(connection_secrets).where(s.connection == id, s.id == number).values(valid_until=until))


def set_allow(transaction: Transaction, id: str, blocks: Sequence[str], at: datetime) -> list[str]:
    """Sets the CIDR blocks that may call, none for any; returns those before. Raises ConnectionUnknown."""
    _touch(transaction, id, at)
    c = connections.c
    before = list(transaction.scalar(select(c.allow).where(c.id == id)) or ())
    transaction.execute(update(connections).where(c.id == id).values(allow=list(blocks)))
    return before


def rotate(
    transaction: Transaction, id: str, name: str, value: bytes, box: SecretBox, at: datetime, old_until: datetime
) -> int:
    """Adds a secret; older ones of its name stay valid until `old_until`. Returns how many those are."""
    _touch(transaction, id, at)
    s = connection_secrets.c
    older = (s.connection == id, s.name == name, or_(s.valid_until.is_(None), s.valid_until > old_until))
    ended = transaction.execute(update(connection_secrets).where(*older).values(valid_until=old_until)).rowcount
    _put_secret(transaction, id, name, value, box, at)
    return ended


def override(transaction: Transaction, id: str, overrides: str, at: datetime) -> None:
    """Sets what the connection overrides in its provider file, "" for nothing. Raises ConnectionUnknown."""
    _touch(transaction, id, at)
    transaction.execute(update(connections).where(connections.c.id == id).values(overrides=overrides or None))


def disable(transaction: Transaction, id: str, at: datetime) -> None:
    """Raises ConnectionUnknown."""
    _touch(transaction, id, at)
    transaction.execute(update(connections).where(connections.c.id == id).values(disabled_at=at))


def enable(transaction: Transaction, id: str, at: datetime) -> None:
    """Raises ConnectionUnknown."""
    _touch(transaction, id, at)
    transaction.execute(update(connections).where(connections.c.id == id).values(disabled_at=None))


def set_setting(transaction: Transaction, id: str, name: str, value: Any, at: datetime) -> None:
    """Sets one of a connection's settings; None removes it. Raises ConnectionUnknown."""
    _touch(transaction, id, at)
    c = connections.c
    settings = dict(transaction.scalar(select(c.settings).where(c.id == id)) or {})
    settings.pop(name, None)
    if value is not None:
        settings[name] = value
    transaction.execute(update(connections).where(c.id == id).values(settings=settings))


def _touch(transaction: Transaction, id: str, at: datetime) -> None:
    c = connections.c
    if transaction.execute(update(connections).where(c.id == id).values(changed_at=at)).rowcount == 0:
        raise ConnectionUnknown(id)


def marker(transaction: Transaction) -> tuple[int, datetime | None]:
    """Changes whenever a connection does: the count of connections and the time of the last change."""
    count, latest = transaction.execute(select(func.count(), func.max(connections.c.changed_at))).one()
    return count, latest


def enabled(transaction: Transaction, box: SecretBox, at: datetime) -> list[Connection]:
    """Every connection that is not disabled, with the secrets valid at a time, newest first."""
    secrets = _secrets(transaction, box, at)
    rows = transaction.execute(
        select(connections).where(connections.c.disabled_at.is_(None)).order_by(connections.c.id)
    )
    return [_connection(row._mapping, secrets.get(row.id, {})) for row in rows]


def get(transaction: Transaction, id: str, box: SecretBox, at: datetime) -> Connection | None:
    """One connection, also a disabled one."""
    row = transaction.execute(select(connections).where(connections.c.id == id)).first()
    return None if row is None else _connection(row._mapping, _secrets(transaction, box, at, id).get(id, {}))


def _connection(row: Mapping[Any, Any], secrets: Mapping[str, tuple[bytes, ...]]) -> Connection:
    return Connection(
        id=row["id"], tenant=row["tenant"], provider=row["provider"], secrets=secrets, keys=tuple(row["keys"]),
        merchant=row["merchant"], stores=tuple(row["stores"]), allow=tuple(row["allow"]),
        time_zone=row["time_zone"], currency=row["currency"], settings=row["settings"],
        overrides=row["overrides"] or "",
    )  # fmt: skip


def _secrets(
    transaction: Transaction, box: SecretBox, at: datetime, id: str | None = None
) -> dict[str, dict[str, tuple[bytes, ...]]]:
    s = connection_secrets.c
    statement = (
        select(s.connection, s.name, s.value)
        .where(or_(s.valid_until.is_(None), s.valid_until > at))
        .order_by(s.connection, s.valid_from.desc(), s.id.desc())
    )
    if id is not None:
        statement = statement.where(s.connection == id)
    found: dict[str, dict[str, tuple[bytes, ...]]] = {}
    for connection, name, value in transaction.execute(statement):
        names = found.setdefault(connection, {})
        names[name] = (*names.get(name, ()), box.unseal(value))
    return found


def rows(transaction: Transaction, provider: str | None = None, tenant: str | None = None) -> list[ConnectionRow]:
    """All connections, disabled ones too, for a person to look at."""
    s = connection_secrets.c
    dates: dict[str, list[tuple[str, datetime, datetime | None]]] = {}
    for id, *rest in transaction.execute(
        select(s.connection, s.name, s.valid_from, s.valid_until).order_by(s.name, s.valid_from)
    ):
        dates.setdefault(id, []).append((rest[0], rest[1], rest[2]))
    statement = select(connections).order_by(connections.c.provider, connections.c.tenant, connections.c.id)
    if provider:
        statement = statement.where(connections.c.provider == provider)
    if tenant:
        statement = statement.where(connections.c.tenant == tenant)
    return [
        ConnectionRow(
            row.id, row.tenant, row.provider, tuple(row._mapping["keys"]), row.merchant, tuple(row.stores),
            tuple(row.allow), row.time_zone, row.currency, row.created_at, row.disabled_at,
            tuple(dates.get(row.id, ())), row.overrides or "",
        )
        for row in transaction.execute(statement)
    ]  # fmt: skip
