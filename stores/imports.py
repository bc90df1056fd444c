"""Import jobs: a file's rows become commands a chunk at a time, and each chunk is a delivery of its own.

A chunk's commands, mappings, failures and the job's progress stand in one transaction. It is written only by the
job's owner and only as the next chunk, so whatever is resumed, a row is written once.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import Connection, insert, or_, select, update

from stores import import_keys
from stores.batches import Batch, Flight
from stores.import_chunks import chunk_id
from stores.records import Committed, Conclusion, RawDelivery
from stores.statements import Statements, statements
from stores.tables import failures, imports

State = Literal["waiting", "running", "done", "partial", "duplicate", "failed", "cancelled"]
OPEN = ("waiting", "running")
METHOD = "IMPORT"
"""The method of a chunk's delivery: it has no request of its own."""
MOST_ATTEMPTS = 5


class Job(NamedTuple):
    """A job as it stands: see the table for the columns."""

    id: str
    created_at: datetime
    tenant: str
    provider: str
    connection: str
    feed: str
    method: str
    url: str
    headers: bytes
    sealed: bytes
    peer: str
    format: str
    name: str
    bytes: int
    sha256: str
    chunk_rows: int
    state: State = "waiting"
    cancel: bool = False
    owner: str = ""
    lease_until: datetime | None = None
    attempts: int = 0
    key_text: str = ""
    chunks: int = 0
    rows: int = 0
    failed: int = 0
    commands: int = 0
    at_byte: int = 0
    seen_bytes: int = 0
    busy_us: int = 0
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    problem: str = ""


class Chunk(NamedTuple):
    """What is written for the rows of one chunk. `number` counts from 0; the other counts are this chunk's own."""

    job: str
    owner: str
    number: int
    raw: RawDelivery
    conclusion: Conclusion
    rows: int
    failed: int
    at_byte: int
    seen_bytes: int
    busy_us: int


class Written(NamedTuple):
    """What became of a chunk: `stopped` says why it was not written, `cancelled` or `lost` to another process."""

    committed: Committed | None
    stopped: Literal["", "cancelled", "lost"] = ""


def add(transaction: Connection, job: Job) -> None:
    transaction.execute(insert(imports).values({**job._asdict(), "updated_at": job.created_at}))


def waiting(transaction: Connection) -> int:
    """How many jobs are not finished."""
    return len(transaction.execute(select(imports.c.id).where(imports.c.state.in_(OPEN))).all())


def get(transaction: Connection, id: str) -> Job | None:
    row = transaction.execute(select(imports).where(imports.c.id == id)).first()
    return None if row is None else Job(*row)


def listed(transaction: Connection, limit: int = 100) -> list[Job]:
    """The newest first."""
    statement = select(imports).order_by(imports.c.created_at.desc(), imports.c.id.desc()).limit(limit)
    return [Job(*row) for row in transaction.execute(statement)]


def open_jobs(transaction: Connection) -> list[tuple[str, str]]:
    """(id, owner) of the jobs that are not finished, oldest first."""
    statement = select(imports.c.id, imports.c.owner).where(imports.c.state.in_(OPEN)).order_by(imports.c.created_at)
    return [(id, owner) for id, owner in transaction.execute(statement)]


def take(transaction: Connection, owner: str, now: datetime, until: datetime, id: str) -> Job | None:
    """An open job that nobody else works on; it is now the owner's."""
    c = imports.c
    free = or_(c.owner.in_(("", owner)), c.lease_until <= now)
    statement = select(imports).where(c.state.in_(OPEN), free, c.id == id)
    row = transaction.execute(statement.with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    job = Job(*row)
    changed: dict[str, Any] = {
        "owner": owner, "lease_until": until, "state": "running", "attempts": job.attempts + 1,
    }  # fmt: skip
    transaction.execute(update(imports).where(c.id == job.id).values(changed))
    return job._replace(**changed)


def renew(transaction: Connection, id: str, owner: str, until: datetime) -> bool:
    """Prolongs a lease; whether it was still the owner's."""
    held = update(imports).where(imports.c.id == id, imports.c.owner == owner).values(lease_until=until)
    return transaction.execute(held).rowcount > 0


def release(transaction: Connection, id: str, owner: str) -> None:
    """Leaves a job to whoever comes next."""
    held = update(imports).where(imports.c.id == id, imports.c.owner == owner)
    transaction.execute(held.values(owner="", lease_until=None))


def ask_to_cancel(transaction: Connection, id: str, now: datetime) -> bool:
    """Whether the job was open. One that nobody works on ends at once, the others at their next chunk."""
    c = imports.c
    open_ = transaction.execute(update(imports).where(c.id == id, c.state.in_(OPEN)).values(cancel=True)).rowcount > 0
    idle = update(imports).where(c.id == id, c.state.in_(OPEN), or_(c.owner == "", c.lease_until <= now))
    if transaction.execute(idle.values(state="cancelled", finished_at=now, updated_at=now)).rowcount > 0:
        import_keys.end(transaction, id, None)
    return open_


@cache
def _statements(name: str) -> Statements:
    from sqlalchemy.dialects import postgresql, sqlite

    return statements(sqlite.dialect() if name == "sqlite" else postgresql.dialect())  # type: ignore[no-untyped-call]


def _batch(transaction: Connection) -> Batch:
    name = transaction.dialect.name
    if name == "sqlite":
        return Batch(transaction, _statements(name))
    from stores.postgres_batches import PostgresBatch

    return PostgresBatch(transaction, _statements(name))


def _conclude(transaction: Connection, raw: RawDelivery, conclusion: Conclusion) -> Committed:
    batch = _batch(transaction)
    flight = Flight(raw, "", 0)
    batch.expect([flight, conclusion])
    batch.receive(flight)
    committed = batch.conclude(conclusion)
    if not committed.remapped:
        batch.flush()
    return committed


def write_chunk(transaction: Connection, chunk: Chunk, now: datetime, until: datetime) -> Written:
    """Writes a chunk and the job's progress; nothing where the job is cancelled or another process has it."""
    c = imports.c
    row = transaction.execute(
        select(c.owner, c.chunks, c.cancel, c.state).where(c.id == chunk.job).with_for_update()
    ).first()
    if row is None or row[0] != chunk.owner or row[1] != chunk.number or row[3] not in OPEN:
        return Written(None, "lost")
    if row[2]:
        return Written(None, "cancelled")
    committed = _conclude(transaction, chunk.raw, chunk.conclusion)
    if committed.remapped:
        return Written(committed)
    transaction.execute(
        update(imports)
        .where(c.id == chunk.job)
        .values(
            chunks=c.chunks + 1,
            rows=c.rows + chunk.rows,
            failed=c.failed + chunk.failed,
            commands=c.commands + committed.commands,
            at_byte=chunk.at_byte,
            seen_bytes=chunk.seen_bytes,
            busy_us=c.busy_us + chunk.busy_us,
            updated_at=now,
            lease_until=until,
            attempts=1,  # whatever crashed it before is behind it
        )
    )
    return Written(committed)


def finish(
    transaction: Connection,
    id: str,
    owner: str,
    state: State,
    now: datetime,
    problem: str,
    raw: RawDelivery | None,
    conclusion: Conclusion | None,
) -> bool:
    """Ends a job: its key is burned here, when all that it stands for is written. False: it was another's."""
    c = imports.c
    held = transaction.execute(select(c.owner).where(c.id == id, c.state.in_(OPEN)).with_for_update()).scalar()
    if held != owner:
        return False
    if raw is not None and conclusion is not None:
        _conclude(transaction, raw, conclusion)
    import_keys.end(transaction, id, None if conclusion is None else conclusion.key)
    ended = {"state": state, "finished_at": now, "updated_at": now, "owner": "", "lease_until": None}
    transaction.execute(update(imports).where(c.id == id).values(**ended, problem=problem))
    return True


def failures_of(transaction: Connection, job: Job, after: int = 0, limit: int = 1_000) -> tuple[list[Any], int]:
    """Failures of a job's chunks as JSON values, in order of the chunks from number `after` on, until some `limit`
    are found; and the number of the next chunk, which is `job.chunks` at the end."""
    found: list[Any] = []
    f = failures.c
    number = after
    while number < job.chunks and len(found) < limit:
        ids = [chunk_id(job.id, n) for n in range(number, min(number + 50, job.chunks))]
        order = {id: n for n, id in enumerate(ids)}
        rows = transaction.execute(select(f.delivery, f.id, f.data).where(f.delivery.in_(ids))).all()
        rows = sorted(rows, key=lambda row: (order[row[0]], row[1]))
        found += [data if isinstance(data, dict) else orjson.loads(data) for _, _, data in rows]
        number += len(ids)
    return found, number


def finished_before(transaction: Connection, before: datetime) -> list[str]:
    """Jobs that ended before a time."""
    return list(transaction.scalars(select(imports.c.id).where(imports.c.finished_at < before)))
