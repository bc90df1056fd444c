"""Who is signed in to the support desk, and links that sign somebody in once. Only hashes of tokens are kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, or_, select

from stores import audit
from stores.tables import admin_keys, desk_sessions

KEY = "key:"
"""How the audit names those who signed in by a key."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, until when. `csrf` is what every form of theirs carries."""

    who: str
    role: str
    csrf: str
    until: datetime


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def add(connection: Connection, kind: str, token: str, session: Session, at: datetime) -> None:
    """Keeps a session or a link; what has run out goes."""
    s = desk_sessions
    connection.execute(delete(s).where(s.c.until <= at))
    connection.execute(
        insert(s).values(
            token=hashed(token), kind=kind, who=session.who, role=session.role, csrf=session.csrf, created_at=at,
            until=session.until,
        )
    )  # fmt: skip


def begin(connection: Connection, token: str, session: Session, at: datetime) -> None:
    """Signs somebody in."""
    add(connection, "session", token, session, at)
    audit.append(connection, at, session.who, "desk.sign_in", session.who, data={"role": session.role})


def get(connection: Connection, token: str, at: datetime, keyed: bool) -> Session | None:
    """Who is signed in. `keyed`: TIFFIN_ADMIN_KEY is set. A session ends with the key that it began by."""
    s, k = desk_sessions.c, admin_keys.c
    mine = (s.token == hashed(token)) & (s.kind == "session") & (s.until > at)
    row = connection.execute(select(s.who, s.role, s.csrf, s.until).where(mine)).first()
    if row is None or not row.who.startswith(KEY):
        return None if row is None else Session(*row)
    name = row.who.removeprefix(KEY)
    standing = select(k.id).where(k.name == name, k.role == row.role, k.revoked_at.is_(None))
    standing = standing.where(or_(k.expires_at.is_(None), k.expires_at > at))
    holds = keyed if name == "TIFFIN_ADMIN_KEY" else connection.scalar(standing.limit(1)) is not None
    return Session(*row) if holds else None


def use_link(connection: Connection, link: str, token: str, csrf: str, until: datetime, at: datetime) -> Session | None:
    """Signs in whom a link is for, once; None where it was used, has run out or never was."""
    s = desk_sessions.c
    statement = (
        delete(desk_sessions).where(s.token == hashed(link), s.kind == "link", s.until > at).returning(s.who, s.role)
    )
    row = connection.execute(statement).first()
    if row is None:
        return None
    session = Session(row.who, row.role, csrf, until)
    begin(connection, token, session, at)
    return session


def end(connection: Connection, token: str) -> None:
    connection.execute(delete(desk_sessions).where(desk_sessions.c.token == hashed(token)))
