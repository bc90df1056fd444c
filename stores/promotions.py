"""Which revisions of provider files were promoted, from when and until when each serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, or_, select, update

from stores.tables import promotions


@dataclass(frozen=True, slots=True)
class Promotion:
    """A revision (`hash` of its text in `specs`) that serves in the place of the folder's file with `file_hash`.

    `former` is what served before. `settled_at`: see the table.
    """

    id: int
    provider: str
    hash: str
    revision: int
    file_hash: str
    former: str
    at: datetime
    who: str
    begins_at: datetime
    ends_at: datetime | None
    settled_at: datetime | None


def standing(connection: Connection, now: datetime) -> list[Promotion]:
    """Those that serve now or are to serve; the oldest first."""
    c = promotions.c
    chosen = select(promotions).where(or_(c.ends_at.is_(None), c.ends_at > now)).order_by(c.id)
    return [Promotion(**row._mapping) for row in connection.execute(chosen)]


def of(connection: Connection, provider: str) -> list[Promotion]:
    """Every one of a provider, the newest first."""
    chosen = select(promotions).where(promotions.c.provider == provider).order_by(promotions.c.id.desc())
    return [Promotion(**row._mapping) for row in connection.execute(chosen)]


def add(
    connection: Connection, provider: str, hash: str, revision: int, file_hash: str, former: str, at: datetime,
    who: str, begins_at: datetime,
) -> None:  # fmt: skip
    connection.execute(
        insert(promotions).values(
            provider=provider, hash=hash, revision=revision, file_hash=file_hash, former=former, at=at, who=who,
            begins_at=begins_at,
        )
    )  # fmt: skip


def end(connection: Connection, id: int, ends_at: datetime) -> bool:
    """Has it serve until then. False: it has ended, or is to end, already."""
    c = promotions.c
    return (
        connection.execute(update(promotions).where(c.id == id, c.ends_at.is_(None)).values(ends_at=ends_at)).rowcount
        == 1
    )


def settle(connection: Connection, ids: Sequence[int], at: datetime) -> None:
    """Notes that the folder has another file by now."""
    c = promotions.c
    connection.execute(update(promotions).where(c.id.in_(ids), c.settled_at.is_(None)).values(settled_at=at))
