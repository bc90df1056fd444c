"""Leases with fencing on what only one process may do at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from stores.tables import leases


def is_free(connection: Connection, name: str, owner: str, now: datetime) -> bool:
    """Whether `owner` could take it now. Costs no write."""
    row = connection.execute(select(leases.c.owner, leases.c.lease_until).where(leases.c.name == name)).first()
    return row is None or row[0] in ("", owner) or row[1] <= now


def take(connection: Connection, name: str, owner: str, now: datetime, until: datetime) -> int | None:
    """Takes or prolongs a lease; its fencing number, None where another holds it.

    The number rises with each new holder, not when the holder prolongs.
    """
    c = leases.c
    if _renewed(connection, name, owner, until):
        return connection.scalar(select(c.fence).where(c.name == name))
    taken = (
        update(leases)
        .where(c.name == name, or_(c.owner == "", c.lease_until <= now))
        .values(owner=owner, fence=c.fence + 1, lease_until=until)
    )
    if connection.execute(taken).rowcount == 0 and not _added(connection, name, owner, until):
        return None
    return connection.scalar(select(c.fence).where(c.name == name))


def stands(connection: Connection, name: str, owner: str, fence: int) -> bool:
    """Whether nobody has taken it since; locked until the end of the caller's transaction."""
    c = leases.c
    statement = select(c.fence).where(c.name == name, c.owner == owner).with_for_update()
    return connection.scalar(statement) == fence


def release(connection: Connection, name: str, owner: str) -> None:
    """Frees it at once."""
    c = leases.c
    connection.execute(update(leases).where(c.name == name, c.owner == owner).values(owner=""))


def _renewed(connection: Connection, name: str, owner: str, until: datetime) -> bool:
    c = leases.c
    statement = update(leases).where(c.name == name, c.owner == owner).values(lease_until=until)
    return connection.execute(statement).rowcount > 0


def _added(connection: Connection, name: str, owner: str, until: datetime) -> bool:
    if connection.scalar(select(leases.c.name).where(leases.c.name == name)) is not None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(insert(leases).values(name=name, owner=owner, fence=1, lease_until=until))
    except IntegrityError:
        return False
    return True
