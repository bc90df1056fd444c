"""Who asks, and what they may: admin keys with roles.

    viewer    looks
    support   also mends and replays
    admin     also changes connections, secrets and keys

A token is `tfn_<id>_<secret>`, where the secret has 256 random bits: its plain SHA-256 is kept, which nobody
can turn round. The key of TIFFIN_ADMIN_KEY is an admin's, and works while the database is away.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from pydantic import SecretStr
from sqlalchemy import Connection

from stores import admin_keys, audit
from stores.writer import Work

Role = Literal["viewer", "support", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "support", "admin")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
RESERVED: Final = frozenset({"TIFFIN_ADMIN_KEY", "anyone"})
USED_EVERY: Final = timedelta(minutes=1)
"""The last use is noted so often at the most: looking must not write for each request."""

_TOKEN = re.compile(r"tfn_([0-9a-f]{12})_[A-Za-z0-9_-]{43}\Z")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `name` is the key's; the audit has it as `key:NAME`."""

    name: str
    role: Role

    @property
    def audited(self) -> str:
        """As the audit names them."""
        return f"key:{self.name}"


OF_THE_SETTING: Final = Principal("TIFFIN_ADMIN_KEY", "admin")
ANYONE: Final = Principal("anyone", "admin")
"""Whoever asks a server that has no key at all: only this machine can reach it."""


def allows(principal: Principal, role: Role) -> bool:
    """Whether who asks may do what needs `role`; each role may what those before it may."""
    return ROLES.index(principal.role) >= ROLES.index(role)


class AdminKeys:
    """The keys that open the admin API. `read` and `write` are the journal's."""

    def __init__(
        self,
        setting: SecretStr,
        read: Callable[[Callable[[Connection], Any]], Awaitable[Any]],
        write: Callable[[Callable[[Connection], Any]], Awaitable[Any]],
        clock: Callable[[], datetime],
    ) -> None:
        self._setting = setting.get_secret_value().encode()
        self._read, self._write, self._clock = read, write, clock

    async def who(self, token: str) -> Principal | None:
        """Whose token it is, None where it is nobody's by now. Raises StoreUnavailable."""
        if self._setting and hmac.compare_digest(token.encode("utf-8", "replace"), self._setting):
            return OF_THE_SETTING
        shaped = _TOKEN.match(token)
        if shaped is None:
            return None
        id, at = shaped[1], self._clock()
        row = await self._read(lambda connection: admin_keys.get(connection, id))
        if row is None or not hmac.compare_digest(row.hash, hashed(token)) or not row.usable(at):
            return None
        if row.last_used_at is None or at - row.last_used_at >= USED_EVERY:
            await self._write(Work(admin_keys.used, id, at))
        return Principal(row.name, row.role)

    async def open(self) -> bool:
        """Whether everybody may: no key is set, and none was ever made. Raises StoreUnavailable.

        A key that ends must not open to everybody what it alone opened.
        """
        return not self._setting and not await self._read(admin_keys.any_made)


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def create(
    connection: Connection, name: str, role: Role, *, at: datetime, by: str, expires_at: datetime | None = None
) -> str:
    """Makes a key and audits it; returns its token, which is not kept. Raises AdminKeyExists."""
    id = secrets.token_hex(6)
    token = f"tfn_{id}_{secrets.token_urlsafe(32)}"
    admin_keys.add(connection, id, name, role, hashed(token), at=at, by=by, expires_at=expires_at)
    told = {"id": id, "role": role, "expires_at": expires_at.isoformat() if expires_at else None}
    audit.append(connection, at, by, "admin_key.create", name, data=told)
    return token


def revoke(connection: Connection, id_or_name: str, *, at: datetime, by: str, why: str = "") -> str:
    """Ends a key at once and audits it; returns its name. Raises AdminKeyUnknown."""
    row = admin_keys.revoke(connection, id_or_name, at)
    audit.append(connection, at, by, "admin_key.revoke", row.name, why, {"id": row.id, "role": row.role})
    return row.name
