"""Notices of connections that are silent: one each, as long as it lasts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, select

from stores.notices import NewNotice, note
from stores.tables import notices

SILENCE = "(silent connection)"
"""Stands where a notice of a handshake has its name; no handshake can be named so."""


def standing(connection: Connection) -> dict[str, datetime]:
    """The connections that are told to be silent, since when that is told."""
    n = notices.c
    return {row[0]: row[1] for row in connection.execute(select(n.connection, n.at).where(n.handshake == SILENCE))}


def put(connection: Connection, new: Iterable[NewNotice], over: Collection[str]) -> None:
    """Raises notices and takes back those of connections that send again."""
    n = notices.c
    if over:
        connection.execute(delete(notices).where(n.handshake == SILENCE, n.connection.in_(sorted(over))))
    there = standing(connection)
    for one in new:
        if one.connection not in there:
            note(connection, one)
