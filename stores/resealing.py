"""Everything that is sealed in the database, to be sealed anew with another key, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, func, or_, select, update

from stores.payloads import OBJECT, SEGMENT
from stores.secrets import HEAD
from stores.tables import alerts, connection_secrets, deliveries, notices, shadows


class Place(NamedTuple):
    """A column that holds sealed values, in the rows that `where` chooses."""

    name: str
    table: Table
    column: Column[bytes]
    where: ColumnElement[bool]


_d = deliveries.c
PLACES: Final = (
    Place(
        "secrets of connections", connection_secrets, connection_secrets.c.value, connection_secrets.c.id.is_not(None)
    ),
    Place("alerts' URLs", alerts, alerts.c.url, alerts.c.id.is_not(None)),
    Place("alerts' secrets", alerts, alerts.c.secret, alerts.c.id.is_not(None)),
    Place("notices", notices, notices.c.shown, notices.c.id.is_not(None)),
    Place("examples of shadows", shadows, shadows.c.examples, shadows.c.examples != b""),
    Place(
        "deliveries' headers and URLs", deliveries, _d.sealed, and_(_d.sealed != b"", _d.place.not_like(SEGMENT + "%"))
    ),
    Place("deliveries' bodies", deliveries, _d.body, and_(_d.body_sealed, _d.place == "", _d.body != b"")),
)


def of_others(place: Place, head: bytes) -> ColumnElement[bool]:
    """The rows of a place whose value was sealed with another key than the one whose head this is."""
    return and_(place.where, func.substr(place.column, 1, HEAD) != head)


def count(connection: Connection, place: Place, head: bytes) -> int:
    """How many values another key sealed."""
    return connection.scalar(select(func.count()).where(of_others(place, head))) or 0


def batch(connection: Connection, place: Place, head: bytes, after: Any, limit: int) -> list[tuple[Any, bytes]]:
    """The ids and values that come next, by id."""
    id = place.table.c.id
    chosen = [of_others(place, head)] if after is None else [of_others(place, head), id > after]
    return [
        (row[0], row[1])
        for row in connection.execute(select(id, place.column).where(*chosen).order_by(id).limit(limit))
    ]


def reseal(
    connection: Connection, place: Place, values: list[tuple[Any, bytes]], again: Callable[[bytes], bytes]
) -> int:
    """Seals values anew; one that was changed since it was read is left to the next run. Returns how many."""
    done = 0
    for id, value in values:
        same = (place.table.c.id == id, place.column == value)
        done += connection.execute(update(place.table).where(*same).values({place.column.name: again(value)})).rowcount
    return done


def elsewhere(connection: Connection) -> int:
    """Deliveries that have, or may have, something sealed in an object or in a segment of the archive."""
    away = or_(and_(_d.place.like(OBJECT + "%"), _d.body_sealed), _d.place.like(SEGMENT + "%"))
    return connection.scalar(select(func.count()).where(away)) or 0
