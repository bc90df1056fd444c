"""What is to be fetched: a row stands until its last page is received, whoever dies meanwhile.

    open        waits until `due`, or is worked on under a lease
    done        every page was received
    failed      given up; `last_error` says why
    cancelled   ended by an operator; of a poll: put off until somebody has it go on

While a job for the same thing has not begun, another one is not added, since what it fetches covers both; while one
is worked on, the next waits. `delivery` is the id that the next page will have as a delivery, chosen before the page
is asked for: whoever takes over sees by it whether the page was received.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, insert, or_, select, update

from stores.database import upsert
from stores.tables import deliveries, failures, fetch_jobs, fetch_pages, outcomes

STATES = ("open", "done", "failed", "cancelled")


class NewFetch(NamedTuple):
    """What is to be fetched. `what` names the thing; `cause` is the delivery that asked, "" for a poll.

    `data` is JSON: the fields of the command. `every` is seconds between polls, 0 where it is none.
    """

    id: str
    tenant: str
    provider: str
    connection: str
    feed: str
    kind: str
    what: str
    data: str
    cause: str
    every: int
    due: datetime


class Job(NamedTuple):
    """A job as stored. `next` is what to ask for, "" for the first page; `pages` were received in this turn.

    `began_at` is when the turn began, `covered_at` when the last complete one did.
    """

    id: str
    tenant: str
    provider: str
    connection: str
    feed: str
    kind: str
    what: str
    data: str
    cause: str
    every: int
    due: datetime
    state: str
    started: int
    owner: str
    lease_until: datetime
    attempts: int
    pages: int
    next: str
    delivery: str
    began_at: datetime | None
    covered_at: datetime | None
    last_error: str
    created_at: datetime


def add(connection: Connection, jobs: Iterable[NewFetch]) -> int:
    """Adds those for which none waits; returns how many."""
    count = 0
    for job in jobs:
        values = {
            **job._asdict(), "state": "open", "started": 0, "owner": "", "lease_until": job.due, "attempts": 0,
            "pages": 0, "next": "", "delivery": "", "last_error": "", "created_at": job.due,
        }  # fmt: skip
        statement = upsert(connection)(fetch_jobs).values(values)
        # The id stands for a command that was read again, the index for a job that has not begun.
        added = statement.on_conflict_do_nothing().returning(fetch_jobs.c.id)
        count += len(connection.execute(added).all())
    return count


def connections_of(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The connection of each of these deliveries."""
    rows = select(deliveries.c.id, deliveries.c.connection).where(deliveries.c.id.in_(sorted(set(ids))))
    return {row.id: row.connection for row in connection.execute(rows)}


def polled(connection: Connection) -> set[str]:
    """What is polled."""
    return set(connection.scalars(select(fetch_jobs.c.what).where(fetch_jobs.c.every > 0)))


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether there is a job to take. Costs no write."""
    return connection.scalar(select(fetch_jobs.c.id).where(*_free(now)).limit(1)) is not None


def _free(now: datetime) -> tuple[ColumnElement[bool], ...]:
    c, other = fetch_jobs.c, fetch_jobs.alias("other")
    begun = and_(other.c.what == c.what, other.c.state == "open", other.c.started == 1, other.c.id != c.id)
    nobody = or_(c.owner == "", c.lease_until <= now)
    return c.state == "open", c.due <= now, nobody, or_(c.started == 1, ~exists().where(begun))


def take(connection: Connection, owner: str, now: datetime, until: datetime, fresh: Sequence[str]) -> list[Job]:
    """Leases jobs that are due and nobody works on, oldest first: at most one for each of the `fresh` delivery ids."""
    c = fetch_jobs.c
    free = _free(now)
    found = connection.execute(select(fetch_jobs).where(*free).order_by(c.due, c.id).limit(len(fresh))).all()
    taken = []
    for row, delivery in zip(found, fresh, strict=False):
        values: dict[str, Any] = {
            "owner": owner, "lease_until": until, "delivery": row.delivery or delivery,
            # A poll stays the one of its thing for ever.
            "started": 0 if row.every else 1,
            "began_at": row.began_at or now,
        }  # fmt: skip
        if connection.execute(update(fetch_jobs).where(c.id == row.id, *free).values(values)).rowcount:
            taken.append(_job(row)._replace(**values))
    return taken


def covered(connection: Connection, what: str) -> datetime | None:
    """When the last complete fetch of a thing began."""
    c = fetch_jobs.c
    found: datetime | None = connection.scalar(select(func.max(c.covered_at)).where(c.what == what))
    return found


def renew(connection: Connection, owner: str, ids: Sequence[str], until: datetime) -> None:
    """Prolongs the leases of what a process works on."""
    mine = update(fetch_jobs).where(fetch_jobs.c.owner == owner, fetch_jobs.c.id.in_(sorted(ids)))
    connection.execute(mine.values(lease_until=until))


def release(connection: Connection, owner: str = "") -> int:
    """Frees what a process works on; "": what anybody does, where nobody else can live."""
    mine = fetch_jobs.c.owner == owner if owner else fetch_jobs.c.owner != ""
    return connection.execute(update(fetch_jobs).where(mine).values(owner="")).rowcount


def advance(connection: Connection, job: Job, owner: str, page: tuple[int, datetime], next: str, fresh: str) -> bool:
    """Page number `page` was received, `next` is what to ask for then, `fresh` the id it will have.

    False where another process has the job by now, or it was cancelled.
    """
    number, at = page
    if not _own(connection, job.id, owner, {"next": next, "pages": number, "attempts": 0, "delivery": fresh}):
        return False
    _received(connection, job, number, at)
    return True


def finish(connection: Connection, job: Job, owner: str, page: tuple[int, datetime]) -> bool:
    """The last page was received, or, with the number 0, there was none. A poll waits for its next turn."""
    number, now = page
    done: dict[str, Any] = {
        "owner": "", "last_error": "", "pages": number, "attempts": 0, "next": "", "delivery": "",
        "began_at": None if job.every else job.began_at, "covered_at": job.began_at,
        "due": now + timedelta(seconds=job.every), "state": "open" if job.every else "done",
    }  # fmt: skip
    if not _own(connection, job.id, owner, done):
        return False
    if number:
        _received(connection, job, number, now)
    _resolve(connection, job, now)
    return True


def _received(connection: Connection, job: Job, number: int, at: datetime) -> None:
    if number == 1 and job.every:
        connection.execute(delete(fetch_pages).where(fetch_pages.c.job == job.id))
    values = {"delivery": job.delivery, "job": job.id, "number": number, "at": at}
    connection.execute(upsert(connection)(fetch_pages).values(values).on_conflict_do_nothing())


def _resolve(connection: Connection, job: Job, now: datetime) -> None:
    """What was told of the job's failing needs nobody any more."""
    c = failures.c
    open_ = select(c.id, c.data).where(c.delivery == job.cause, c.resolved_at.is_(None), c.code.like("fetch\\_%", "\\"))
    for id, data in connection.execute(open_).all() if job.cause else ():
        told = orjson.loads(data) if isinstance(data, str | bytes) else data
        if told.get("facts", {}).get("job") == job.id:
            connection.execute(update(failures).where(c.id == id).values(resolved_at=now, resolved_by="fetch"))


def postpone(connection: Connection, id: str, owner: str, due: datetime, error: str, tries: int = 1) -> None:
    """It is to be tried again."""
    attempts = fetch_jobs.c.attempts + tries
    _own(connection, id, owner, {"owner": "", "due": due, "attempts": attempts, "last_error": error})


def give_up(connection: Connection, job: Job, owner: str, now: datetime, error: str, failure: Any) -> None:
    """It failed for good: a failure of the delivery that asked. A poll comes again in its turn, from the first page."""
    if job.every:
        again = {"owner": "", "due": now + timedelta(seconds=job.every), "last_error": error}
        _own(connection, job.id, owner, {**again, "began_at": None, **_AFRESH})
        return
    if not _own(connection, job.id, owner, {"owner": "", "state": "failed", "due": now, "last_error": error}):
        return
    if job.cause:
        attempt = connection.scalar(select(func.max(outcomes.c.attempt)).where(outcomes.c.delivery == job.cause))
        told = {name: getattr(job, name) for name in ("tenant", "provider", "connection", "feed")}
        row = {"delivery": job.cause, "attempt": attempt or 1, "at": now, "class": failure["class"], **told}
        connection.execute(insert(failures).values({**row, "code": failure["code"], "data": failure}))


_AFRESH: dict[str, Any] = {"attempts": 0, "next": "", "pages": 0, "delivery": ""}


def drop(connection: Connection, id: str) -> None:
    """Forgets a job that nothing serves any more, as a poll that was taken out of its file."""
    connection.execute(delete(fetch_pages).where(fetch_pages.c.job == id))
    connection.execute(delete(fetch_jobs).where(fetch_jobs.c.id == id))


def again(connection: Connection, id: str, now: datetime) -> bool:
    """Has a job that has not ended well go on from the page where it stopped, at once; False where there is none."""
    c = fetch_jobs.c
    # The page that stopped it may stand as a delivery: it is asked for anew.
    values = {"state": "open", "owner": "", "attempts": 0, "due": now, "delivery": ""}
    mine = (c.id == id, or_(c.state.in_(("failed", "cancelled")), and_(c.state == "open", c.owner == "")))
    return connection.execute(update(fetch_jobs).where(*mine).values(values)).rowcount > 0


def cancel(connection: Connection, id: str, now: datetime) -> bool:
    """Ends a job, also one that is worked on; False where there is none that is open."""
    c = fetch_jobs.c
    values: dict[str, Any] = {"state": "cancelled", "owner": "", "due": now, "last_error": ""}
    jobs = update(fetch_jobs).where(c.id == id, c.state.in_(("open", "failed")))
    if connection.execute(jobs.where(c.every == 0).values(**values, started=1)).rowcount:
        return True
    return connection.execute(jobs.where(c.every > 0).values(**values, **_AFRESH)).rowcount > 0


def get(connection: Connection, id: str) -> Job | None:
    row = connection.execute(select(fetch_jobs).where(fetch_jobs.c.id == id)).first()
    return None if row is None else _job(row)


def pages_of(connection: Connection, id: str) -> list[tuple[int, str, datetime]]:
    """(number, delivery, time) of the pages that a job has received, in order."""
    c = fetch_pages.c
    rows = connection.execute(select(c.number, c.delivery, c.at).where(c.job == id).order_by(c.number, c.at))
    return [(row[0], row[1], row[2]) for row in rows]


def listed(
    connection: Connection, *, state: str | None = None, provider: str | None = None, limit: int = 50
) -> list[Job]:
    """Jobs, the newest first."""
    c = fetch_jobs.c
    statement = select(fetch_jobs).order_by(c.created_at.desc(), c.id).limit(limit)
    if state:
        statement = statement.where(c.state == state)
    if provider:
        statement = statement.where(c.provider == provider)
    return [_job(row) for row in connection.execute(statement)]


def prune(connection: Connection, before: datetime) -> int:
    """Forgets jobs that ended before a time; those that failed stay."""
    c = fetch_jobs.c
    ended = and_(c.state.in_(("done", "cancelled")), c.every == 0, c.due < before)
    connection.execute(delete(fetch_pages).where(fetch_pages.c.job.in_(select(c.id).where(ended))))
    return connection.execute(delete(fetch_jobs).where(ended)).rowcount


def _own(connection: Connection, id: str, owner: str, values: dict[str, Any]) -> bool:
    c = fetch_jobs.c
    return connection.execute(update(fetch_jobs).where(c.id == id, c.owner == owner).values(values)).rowcount > 0


def _job(row: Row[Any]) -> Job:
    return Job(**{name: getattr(row, name) for name in Job._fields})
