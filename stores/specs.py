"""Every provider file that deliveries were interpreted by, kept by the hash of its text."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from stores.database import upsert
from stores.tables import deliveries, outcomes, specs

_CHUNK = 500


def save_all(connection: Connection, files: Iterable[tuple[str, str, int, str]], at: datetime) -> None:
    """Keeps files: (hash, provider, revision, text) of each."""
    for hash, provider, revision, text in sorted(files):
        save(connection, hash, provider, revision, text, at)


def save(connection: Connection, hash: str, provider: str, revision: int, text: str, at: datetime) -> None:
    """Keeps a file; one that is kept already stays as it is."""
    if connection.scalar(select(specs.c.hash).where(specs.c.hash == hash)) is None:
        row = {"hash": hash, "provider": provider, "revision": revision, "text": text, "loaded_at": at}
        connection.execute(upsert(connection)(specs).values(row).on_conflict_do_nothing())


def text(connection: Connection, hash: str) -> str | None:
    found: str | None = connection.scalar(select(specs.c.text).where(specs.c.hash == hash))
    return found


class Then(NamedTuple):
    """By which file, and when, a delivery was first interpreted."""

    spec_hash: str
    at: datetime


def then(connection: Connection, delivery: str) -> Then | None:
    """None where it has not come to an end yet, or was never interpreted: a request in quarantine."""
    o = outcomes.c
    statement = select(o.spec_hash, o.at).where(o.delivery == delivery, o.state != "quarantined")
    row = connection.execute(statement.order_by(o.attempt).limit(1)).first()
    return None if row is None else Then(*row)


class Used(NamedTuple):
    """A provider file by which `deliveries` were first interpreted. `revision` None: the file is not kept."""

    provider: str
    spec_hash: str
    revision: int | None
    deliveries: int


def used(connection: Connection, deliveries_: Collection[str]) -> list[Used]:
    """By which files these deliveries were first interpreted, the most used first."""
    d, o, s = deliveries.c, outcomes.c, specs.c
    before = outcomes.alias("before").c
    was = (before.delivery == o.delivery) & (before.attempt < o.attempt) & (before.state != "quarantined")
    earlier = select(before.delivery).where(was).exists()
    counted: dict[tuple[str, str, int | None], int] = {}
    chosen = sorted(deliveries_)
    for start in range(0, len(chosen), _CHUNK):
        statement = (
            select(d.provider, o.spec_hash, s.revision, func.count())
            .select_from(outcomes.join(deliveries, d.id == o.delivery).outerjoin(specs, s.hash == o.spec_hash))
            .where(o.delivery.in_(chosen[start : start + _CHUNK]), o.state != "quarantined", ~earlier)
            .group_by(d.provider, o.spec_hash, s.revision)
        )
        for *key, count in connection.execute(statement):
            named = (key[0], key[1], key[2])
            counted[named] = counted.get(named, 0) + count
    return [Used(*key, count) for key, count in sorted(counted.items(), key=lambda one: (-one[1], one[0][:2]))]
