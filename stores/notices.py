"""What an operator must see: codes to type in elsewhere, addresses to open, and what is new in payloads.

Those of handshakes are kept here, those of drift (kind `drift`) by stores.drifts.

Anybody may send a handshake, so that what is kept is bounded: the newest of each handshake of a connection,
and fewer of one address, so that one stranger cannot push out what the provider sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from stores.tables import notices

MOST = 20
"""Notices kept of one handshake of one connection."""
MOST_OF_A_PEER = 4
"""Those of them that came from one address."""

Unseal = Callable[[bytes], bytes]


class NewNotice(NamedTuple):
    """A notice to keep. `shown` is sealed JSON: names and texts. `connection` is "" where none is known."""

    at: datetime
    tenant: str
    provider: str
    connection: str
    handshake: str
    peer: str
    shown: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as the operator sees it."""

    id: int
    at: datetime
    tenant: str
    provider: str
    connection: str
    handshake: str
    peer: str
    shown: Mapping[str, str]
    kind: str = "handshake"
    feed: str = ""


def note(connection: Connection, new: NewNotice) -> None:
    """Keeps a notice; the oldest beyond the bounds go."""
    n = notices.c
    connection.execute(insert(notices).values(new._asdict()))
    mine = (n.provider == new.provider) & (n.connection == new.connection) & (n.handshake == new.handshake)
    for chosen, most in ((mine & (n.peer == new.peer), MOST_OF_A_PEER), (mine, MOST)):
        connection.execute(delete(notices).where(n.id.in_(_beyond(connection, chosen, most))))


def _beyond(connection: Connection, chosen: ColumnElement[bool], most: int) -> list[int]:
    newest_first = select(notices.c.id).where(chosen).order_by(notices.c.id.desc())
    return list(connection.scalars(newest_first))[most:]


def listed(connection: Connection, unseal: Unseal, filters: Mapping[str, str | int | None]) -> list[Notice]:
    """The newest first. `filters` are columns and the values that they must have; None: any."""
    query = select(notices).order_by(notices.c.id.desc())
    for name, value in filters.items():
        if value is not None:
            query = query.where(notices.c[name] == value)
    rows = connection.execute(query).mappings()
    return [Notice(**{**row, "shown": orjson.loads(unseal(row["shown"]))}) for row in rows]


def remove(connection: Connection, ids: Iterable[int]) -> list[int]:
    """Removes notices; returns the ids that there were none of."""
    wanted = list(ids)
    known = set(connection.scalars(select(notices.c.id).where(notices.c.id.in_(wanted))))
    connection.execute(delete(notices).where(notices.c.id.in_(sorted(known))))
    return [id_ for id_ in wanted if id_ not in known]
