"""Keys of people and programs that may use the admin API, kept as hashes only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, or_, select, update

from stores.tables import admin_keys


class AdminKeyExists(ValueError):
    """A key of that name stands and was not revoked."""


class AdminKeyUnknown(LookupError):
    """There is no key of that id or name that could be revoked."""


@dataclass(frozen=True, slots=True)
class AdminKeyRow:
    """A key as it is stored. `hash` is the SHA-256 of the whole token, in hex."""

    id: str
    name: str
    role: str
    hash: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def usable(self, at: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > at)


def add(
    connection: Connection,
    id: str,
    name: str,
    role: str,
    hash: str,
    *,
    at: datetime,
    by: str,
    expires_at: datetime | None = None,
) -> None:
    """Raises AdminKeyExists."""
    k = admin_keys.c
    if connection.scalar(select(k.id).where(k.name == name, k.revoked_at.is_(None))) is not None:
        raise AdminKeyExists(name)
    connection.execute(
        insert(admin_keys).values(
            id=id, name=name, role=role, hash=hash, created_at=at, created_by=by, expires_at=expires_at
        )
    )


def get(connection: Connection, id: str) -> AdminKeyRow | None:
    row = connection.execute(select(admin_keys).where(admin_keys.c.id == id)).first()
    return None if row is None else AdminKeyRow(**row._mapping)


def rows(connection: Connection) -> list[AdminKeyRow]:
    """All keys, also those that hold no more, the newest first."""
    statement = select(admin_keys).order_by(admin_keys.c.created_at.desc(), admin_keys.c.id)
    return [AdminKeyRow(**row._mapping) for row in connection.execute(statement)]


def any_made(connection: Connection) -> bool:
    """Whether there ever was a key."""
    return connection.scalar(select(admin_keys.c.id).limit(1)) is not None


def revoke(connection: Connection, id_or_name: str, at: datetime) -> AdminKeyRow:
    """Ends a key at once; returns it as it was. Raises AdminKeyUnknown."""
    k = admin_keys.c
    named = or_(k.id == id_or_name, k.name == id_or_name)
    row = connection.execute(select(admin_keys).where(named, k.revoked_at.is_(None))).first()
    if row is None:
        raise AdminKeyUnknown(id_or_name)
    connection.execute(update(admin_keys).where(k.id == row.id).values(revoked_at=at))
    return AdminKeyRow(**row._mapping)


def used(connection: Connection, id: str, at: datetime) -> None:
    """Notes when a key was used last."""
    k = admin_keys.c
    later = or_(k.last_used_at.is_(None), k.last_used_at < at)
    connection.execute(update(admin_keys).where(k.id == id, later).values(last_used_at=at))
