"""Replays of sets of deliveries: what was chosen when they began, and what each came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select, update

from stores import audit, desk_groups
from stores.tables import desk_job_items, desk_jobs

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Job:
    """A replay of `total` deliveries. `verdicts` counts what was replayed; `what` is JSON and says what was chosen."""

    id: str
    at: datetime
    who: str
    why: str
    what: str
    total: int
    rate: int
    state: str
    seen_at: datetime
    verdicts: Mapping[str, int]

    @property
    def done(self) -> int:
        return sum(self.verdicts.values())


def create(
    connection: Connection,
    id: str,
    at: datetime,
    who: str,
    why: str,
    what: Mapping[str, Any],
    deliveries: Sequence[str],
    rate: int,
) -> None:
    """Keeps a job that begins, with what it is to replay."""
    told = orjson.dumps(what, option=orjson.OPT_SORT_KEYS).decode()
    chosen = sorted(set(deliveries))
    connection.execute(
        insert(desk_jobs).values(
            id=id, at=at, who=who, why=why, what=told, total=len(chosen), rate=rate, state="running", seen_at=at
        )
    )
    for start in range(0, len(chosen), _CHUNK):
        rows = [{"job": id, "delivery": one} for one in chosen[start : start + _CHUNK]]
        connection.execute(insert(desk_job_items), rows)
    audit.append(connection, at, who, "desk.replay", id, why, {"deliveries": len(chosen), "what": dict(what)})


def get(connection: Connection, id: str) -> Job | None:
    found = _jobs(connection, desk_jobs.c.id == id, 1)
    return found[0] if found else None


def listed(connection: Connection, limit: int = 50) -> list[Job]:
    """The newest first."""
    return _jobs(connection, desk_jobs.c.id.is_not(None), limit)


def _jobs(connection: Connection, where: Any, limit: int) -> list[Job]:
    rows = connection.execute(select(desk_jobs).where(where).order_by(desk_jobs.c.at.desc()).limit(limit)).all()
    i = desk_job_items.c
    counted: dict[str, dict[str, int]] = {}
    statement = select(i.job, i.verdict, func.count()).where(
        i.job.in_([row.id for row in rows]), i.verdict.is_not(None)
    )
    for job, verdict, count in connection.execute(statement.group_by(i.job, i.verdict)):
        counted.setdefault(job, {})[verdict] = count
    return [Job(**row._mapping, verdicts=counted.get(row.id, {})) for row in rows]


def next_items(connection: Connection, id: str, limit: int) -> list[str]:
    """Deliveries that a job has yet to replay, oldest first."""
    i = desk_job_items.c
    statement = select(i.delivery).where(i.job == id, i.verdict.is_(None)).order_by(i.delivery).limit(limit)
    return list(connection.scalars(statement))


def unsettled(connection: Connection, id: str, limit: int = 50) -> list[tuple[str, str]]:
    """(delivery, verdict) of those replayed that did not come to a good end."""
    i = desk_job_items.c
    good = ("accepted", "duplicate", "stale", "ignored")
    statement = select(i.delivery, i.verdict).where(i.job == id, i.verdict.is_not(None), i.verdict.not_in(good))
    return [(row[0], row[1]) for row in connection.execute(statement.order_by(i.delivery).limit(limit))]


def note(connection: Connection, id: str, verdicts: Mapping[str, str], who: str, at: datetime) -> str:
    """Notes what deliveries came to, and resolves what was wrong with them before.

    Returns the job's state, which somebody may have changed.
    """
    desk_groups.superseded(connection, verdicts, who, at)
    i = desk_job_items.c
    for delivery, verdict in verdicts.items():
        connection.execute(update(desk_job_items).where(i.job == id, i.delivery == delivery).values(verdict=verdict))
    connection.execute(update(desk_jobs).where(desk_jobs.c.id == id).values(seen_at=at))
    state: str = connection.scalar(select(desk_jobs.c.state).where(desk_jobs.c.id == id)) or "cancelled"
    return state


def cancel(connection: Connection, id: str, who: str, at: datetime) -> bool:
    """Asks a running job to stop after the delivery it is at. False where it does not run."""
    j = desk_jobs.c
    asked = connection.execute(update(desk_jobs).where(j.id == id, j.state == "running").values(state="cancelling"))
    if asked.rowcount:
        audit.append(connection, at, who, "desk.replay.cancel", id)
    return asked.rowcount > 0


def take_up(connection: Connection, id: str, unseen_since: datetime, who: str, at: datetime) -> bool:
    """Takes up a job whose process has ended. False where it ended by itself, or runs."""
    j = desk_jobs.c
    stopped = j.state.in_(("running", "cancelling", "cancelled")) & (j.seen_at < unseen_since)
    taken = connection.execute(update(desk_jobs).where(j.id == id, stopped).values(state="running", seen_at=at))
    if taken.rowcount:
        audit.append(connection, at, who, "desk.replay.continue", id)
    return taken.rowcount > 0


def finish(connection: Connection, id: str, state: str, who: str, at: datetime, verdicts: Mapping[str, int]) -> None:
    connection.execute(update(desk_jobs).where(desk_jobs.c.id == id).values(state=state, seen_at=at))
    audit.append(connection, at, who, f"desk.replay.{state}", id, data=dict(verdicts))
