"""Signs people in to the support desk: by an admin key, or by a link that works once."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from stores import desk_sessions
from stores.desk_sessions import Session

HOLDS: Final = timedelta(hours=8)
"""So long a session lasts, whatever is done in it."""
LINK_HOLDS: Final = timedelta(minutes=15)
ROLES: Final = ("viewer", "support", "admin")
"""Each may what those before it may: look; mend and replay; change secrets."""


def may(role: str, needed: str) -> bool:
    return ROLES.index(role) >= ROLES.index(needed)


def new_session(who: str, role: str, at: datetime) -> tuple[str, Session]:
    """A session to be kept and the token that names it: 256 random bits."""
    return secrets.token_urlsafe(32), Session(who, role, secrets.token_urlsafe(32), at + HOLDS)


def make_link(connection: Connection, who: str, role: str, at: datetime) -> str:
    """A token that signs `who` in once within a quarter of an hour."""
    token = secrets.token_urlsafe(32)
    desk_sessions.add(connection, "link", token, Session(who, role, "", at + LINK_HOLDS), at)
    return token


def link_path(token: str) -> str:
    """Where a link's token is taken. It stands in the fragment, which no browser sends and no proxy logs."""
    return f"/desk/sign-in#{token}"
