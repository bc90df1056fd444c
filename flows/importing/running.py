"""A job while it runs, and the deliveries that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from time import perf_counter
from typing import NamedTuple

import orjson

from engine.failures import Failure
from engine.messages import IdempotencyKey, Outcome, Request, Scope
from flows.attempts import STATE_OF
from flows.importing.chunks import Chunks, Part
from flows.importing.occurrences import Fingerprints, Occurrences
from flows.importing.rows import Source, Spooled
from flows.providers import LoadedProvider
from flows.receipts import item_results
from flows.sealing import opened
from stores import imports
from stores.imports import Job
from stores.outbox import grouped
from stores.records import Conclusion, RawDelivery


class Stored(NamedTuple):
    """The columns of a job that make up its request; its body is a file."""

    received_at: datetime
    method: str
    url: str
    headers: bytes
    sealed: bytes
    body: bytes
    body_sealed: bool
    peer: str


def request_of(job: Job, unseal: Callable[[bytes], bytes]) -> Request:
    return opened(Stored(job.created_at, job.method, job.url, job.headers, job.sealed, b"", False, job.peer), unseal)


class Run:
    """A job that runs in this process."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.loaded: LoadedProvider | None = None
        self.file: Spooled | None = None
        self.source: Source | None = None
        self.chunks: Chunks | None = None
        self.parts: Iterator[Part] | None = None
        self.seen: Occurrences | None = None
        self.written: Fingerprints | None = None
        self.scope = Scope()
        self.failed = self.commands = 0
        self.busy_since = perf_counter()

    @property
    def spec_hash(self) -> str:
        return self.loaded.spec_hash if self.loaded is not None else ""

    def close(self) -> None:
        if self.seen is not None:
            self.seen.close()


def raw_of(job: Job, delivery: str, spec_hash: str, url: str, body: bytes, method: str = imports.METHOD) -> RawDelivery:
    """What is kept of a chunk, or with the job's own `method`, of the file: a delivery's row."""
    own = method != imports.METHOD
    return RawDelivery(
        delivery, job.created_at, job.tenant, job.provider, job.connection, job.feed, method, url,
        job.headers if own else b"[]", job.sealed if own else b"", body, False, job.peer if own else "", spec_hash,
    )  # fmt: skip


def conclusion_of(
    job: Job, delivery: str, run: Run, outcome: Outcome, failures: tuple[Failure, ...], now: datetime
) -> Conclusion:
    """The outcome of a chunk or of the whole job, as a delivery has it."""
    key: IdempotencyKey | None = None
    return Conclusion(
        delivery=delivery,
        attempt=1,
        tenant=job.tenant,
        provider=job.provider,
        connection=job.connection,
        feed=job.feed,
        event="",
        state=STATE_OF[outcome.verdict],
        at=now,
        received_at=job.created_at,
        key=key,
        groups=grouped(outcome.commands),
        mappings=outcome.mappings,
        failures=tuple((f.cls, f.code, orjson.dumps(f.to_json())) for f in failures),
        results=item_results(failures),
        entities=orjson.dumps(outcome.entities).decode(),
        external_merchant=run.scope.merchant,
        external_store=run.scope.store,
        merchant_id=outcome.merchant_id,
        store_id=outcome.store_id,
        spec_hash=run.spec_hash,
        whole=job.id,
    )
