"""Revisions that run beside the live ones, and what they differed in. One of each provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from stores.imports import METHOD
from stores.payloads import ERASED, OBJECT
from stores.tables import deliveries, shadows


@dataclass(frozen=True, slots=True)
class Shadow:
    """A revision (`hash` of its text in `specs`) beside the one whose text has `live_hash`.

    `rate` is how many deliveries a second it takes at most, `position` the id of the last one behind. `counts` is
    JSON and `examples` sealed JSON, as flows.observing has them. `problem`: why it does not go on.
    """

    id: str
    provider: str
    hash: str
    live_hash: str
    started_at: datetime
    who: str
    stopped_at: datetime | None
    rate: int
    position: str
    counts: Mapping[str, Any]
    examples: bytes
    problem: str


def start(connection: Connection, new: Shadow) -> None:
    """Begins one; an ended one of the provider goes."""
    connection.execute(delete(shadows).where(shadows.c.provider == new.provider, shadows.c.stopped_at.is_not(None)))
    connection.execute(insert(shadows).values({c.name: getattr(new, c.name) for c in shadows.c}))


def stop(connection: Connection, id: str, at: datetime) -> bool:
    """False: it has ended already."""
    c = shadows.c
    ended = update(shadows).where(c.id == id, c.stopped_at.is_(None)).values(stopped_at=at)
    return connection.execute(ended).rowcount == 1


def running(connection: Connection) -> list[Shadow]:
    chosen = select(shadows).where(shadows.c.stopped_at.is_(None)).order_by(shadows.c.provider)
    return [Shadow(**row._mapping) for row in connection.execute(chosen)]


def of(connection: Connection, provider: str) -> Shadow | None:
    """The provider's, running or ended."""
    row = connection.execute(select(shadows).where(shadows.c.provider == provider)).first()
    return None if row is None else Shadow(**row._mapping)


def every(connection: Connection) -> list[Shadow]:
    return [Shadow(**row._mapping) for row in connection.execute(select(shadows).order_by(shadows.c.provider))]


def note(
    connection: Connection, id: str, position: str, live_hash: str, counts: Mapping[str, Any],
    examples: tuple[bytes, bytes], problem: str,
) -> None:  # fmt: skip
    """What is known by now. One that was ended meanwhile keeps what it had.

    `examples` are those before and those now: where they were erased meanwhile, they stay so.
    """
    c = shadows.c
    told = {"position": position, "live_hash": live_hash, "counts": counts, "problem": problem}
    running = update(shadows).where(c.id == id, c.stopped_at.is_(None))
    if not connection.execute(
        running.where(c.examples == examples[0]).values({**told, "examples": examples[1]})
    ).rowcount:
        connection.execute(running.values(told))


def erase(connection: Connection, provider: str) -> None:
    """Forgets the examples of a provider's shadow: one may show a payload that is erased. Counts stay."""
    connection.execute(update(shadows).where(shadows.c.provider == provider).values(examples=b""))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deliveries behind a position, in order of id. `last` is the id of the last one there was, "" for none."""

    ids: tuple[str, ...]
    too_large: int
    left_out: int
    last: str


def waiting(
    connection: Connection, provider: str | None, after: str, until: str, most: int, largest: int, most_bytes: int,
    look_at: int = 2_000,
) -> Waiting:  # fmt: skip
    """So many of the verified deliveries between two positions, evenly spread where there are more. Chunks of
    imported files are none of them: what stands for these is no request.

    `largest` is the most bytes of one body, `most_bytes` of all. At most `look_at` are looked at.
    """
    d = deliveries.c
    chosen = select(d.id, func.length(d.body), d.place).where(d.id > after, d.id <= until, d.quarantined == "")
    chosen = chosen.where(d.method != METHOD)
    if provider is not None:
        chosen = chosen.where(d.provider == provider)
    rows = connection.execute(chosen.order_by(d.id).limit(look_at)).all()
    # A body that is an object was too large for a row; of what was erased there is nothing to compare.
    fit = [(id, size) for id, size, place in rows if size <= largest and not place.startswith((OBJECT, ERASED))]
    step = max(1, -(-len(fit) // most)) if most else len(fit) + 1
    ids: list[str] = []
    total = 0
    for id, size in fit[::step] if most else []:
        if (total := total + size) > most_bytes and ids:
            break
        ids.append(id)
    return Waiting(tuple(ids), len(rows) - len(fit), len(fit) - len(ids), rows[-1].id if rows else "")


def newest(connection: Connection) -> str:
    """The id of the newest delivery; "" where there is none."""
    return connection.scalar(select(func.max(deliveries.c.id))) or ""
