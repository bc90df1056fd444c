"""The idempotency keys of import jobs: a job has its key from its first chunk to its end, over every crash.

    free ─ begin ─ running ─ the job's end ─ done, or open to whoever comes next: the rest of its work

Whoever comes while it runs is its duplicate, be it a webhook or another job. Whoever goes on with what a job left
leaves out what stands in the job's chunks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, and_, select, update

from engine.messages import IdempotencyKey
from stores.claims import OPEN, RUNNING, TAKEN, standing
from stores.database import upsert
from stores.tables import imports, keys

if TYPE_CHECKING:
    from stores.imports import Job


class Begun(NamedTuple):
    """Whether a job may run: `holder` is who did its work before, or is doing it.

    `earlier` are (id, chunks) of the jobs that had its key, `written` the JSON list of the command ids that webhooks
    with it wrote. `claimant` is the first of the jobs with a payload hash, whose id goes into the command keys; ""
    where it is the job itself.
    """

    holder: str = ""
    earlier: tuple[tuple[str, int], ...] = ()
    written: str = ""
    claimant: str = ""


def begin(transaction: Connection, job: Job, key: IdempotencyKey | None) -> Begun:
    """Gives a job its key for as long as it runs, or says who has it."""
    if key is None:
        return Begun()
    row = _locked(transaction, job, key)
    expired = row.until is not None and row.until <= job.created_at
    if row.state in TAKEN and row.delivery != job.id and not expired:
        return Begun(holder=row.delivery)
    last = standing(transaction, job.tenant, job.provider, key, job.created_at) if key.scope_key else None
    if last is not None and last.done and last.delivery != job.id:
        return Begun(holder=last.delivery)
    since = job.created_at if expired else row.claimed_at
    held: dict[str, Any] = {"delivery": job.id, "state": RUNNING, "claimed_at": since, "until": None}
    if expired:
        held["written"] = None
    transaction.execute(update(keys).where(_is(job.tenant, job.provider, key.text)).values(held))
    transaction.execute(update(imports).where(imports.c.id == job.id).values(key_text=key.text))
    earlier = _earlier(transaction, job, key)
    claimant = ""
    if last is not None:
        claimant = last.delivery
    elif key.strategy == "payload_hash":
        claimant = next((id for id, _, created_at in earlier if created_at >= since), "")
    return Begun("", tuple((id, chunks) for id, chunks, _ in earlier), held.get("written", row.written) or "", claimant)


def end(transaction: Connection, id: str, key: IdempotencyKey | None) -> None:
    """Leaves the key of a job that has ended to whoever comes next, where its work is not done."""
    c = imports.c
    job = transaction.execute(select(c.tenant, c.provider, c.key_text).where(c.id == id)).first()
    if job is None or not job.key_text:
        return
    own = and_(_is(*job), keys.c.delivery == id)
    transaction.execute(update(keys).where(own, keys.c.state == RUNNING).values(state=OPEN))
    since: datetime | None = transaction.scalar(select(keys.c.claimed_at).where(own))
    if key is not None and key.window is not None and since is not None:
        transaction.execute(update(keys).where(own).values(until=since + timedelta(seconds=key.window)))


def _is(tenant: str, provider: str, text: str) -> Any:
    return and_(keys.c.tenant == tenant, keys.c.provider == provider, keys.c.key_text == text)


def _locked(transaction: Connection, job: Job, key: IdempotencyKey) -> Any:
    """The row of the key, which no other process may change now; where there was none, an open one of the job's."""
    k = keys.c
    own = {
        "tenant": job.tenant, "provider": job.provider, "key_text": key.text,
        "delivery": job.id, "state": OPEN, "claimed_at": job.created_at,
    }  # fmt: skip
    # DO NOTHING would not lock the row of another.
    put = upsert(transaction)(keys).values(own)
    put = put.on_conflict_do_update(index_elements=[k.tenant, k.provider, k.key_text], set_={"tenant": job.tenant})
    return transaction.execute(put.returning(k.delivery, k.state, k.claimed_at, k.until, k.written)).one()


def _earlier(transaction: Connection, job: Job, key: IdempotencyKey) -> list[tuple[str, int, datetime]]:
    c = imports.c
    same = and_(c.tenant == job.tenant, c.provider == job.provider, c.key_text == key.text, c.id != job.id)
    found = transaction.execute(select(c.id, c.chunks, c.created_at).where(same).order_by(c.created_at, c.id))
    return [(id, chunks, created_at) for id, chunks, created_at in found]
