"""A new secret for a connection from the support desk, with an overlap, and what waits in its quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from engine.handshakes import secret_names_of
from engine.interpreter import Interpreter
from engine.signatures import UnusableSecret, schemes_of, secret_names, usable_secret
from stores import audit, connections
from stores.tables import deliveries


class SecretRefused(Exception):
    """The secret is not the provider's, or too weak; the text never quotes it."""


@dataclass(frozen=True, slots=True)
class _Sealed:
    """Hands a value on that was sealed in the process that has the key."""

    def seal(self, plain: bytes) -> bytes:
        return plain


def names(interpreter: Interpreter) -> list[str]:
    """The secrets that a connection to the provider may have."""
    return sorted(secret_names(interpreter.auths) | secret_names_of(interpreter.provider))


def check(interpreter: Interpreter, name: str, value: str) -> None:
    """Raises SecretRefused."""
    if name not in names(interpreter):
        raise SecretRefused(f"The provider has no such secret. It has: {', '.join(names(interpreter)) or 'none'}.")
    if not value:
        raise SecretRefused("The secret is empty.")
    for scheme in schemes_of(interpreter.auths, name):
        try:
            usable_secret(value, scheme)
        except UnusableSecret as error:
            raise SecretRefused(f"The secret is refused: {error}") from None


def rotated(
    connection: Connection, id: str, name: str, sealed: bytes, overlap: timedelta, *, who: str, why: str, at: datetime
) -> None:
    """Adds a sealed secret; older ones of its name hold for the overlap. Raises ConnectionUnknown."""
    box: Any = _Sealed()
    connections.rotate(connection, id, name, sealed, box, at, at + overlap)
    told = {"secrets": [name], "overlap_hours": overlap.total_seconds() / 3600}
    audit.append(connection, at, who, "connection.rotate", id, why, told)


def quarantined(connection: Connection, id: str, provider: str, most: int) -> list[str]:
    """The requests in quarantine that may be a connection's: its own, and those of its provider that are nobody's."""
    d = deliveries.c
    statement = (
        select(d.id)
        .where(d.quarantined != "", d.provider == provider, d.connection.in_((id, "")))
        .order_by(d.id)
        .limit(most)
    )
    return list(connection.scalars(statement))
