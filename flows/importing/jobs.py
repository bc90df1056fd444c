"""Runs import jobs: read, interpret, commit, a chunk at a time; while one chunk is committed, the next is read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any, TypeVar

import orjson

from engine.decoding.media_types import headers_of
from engine.drafting import Draft
from engine.failures import Failure, Refusal
from engine.messages import Connection, Outcome
from flows.importing.chunks import Chunks, Made, Part, documentless, parts, unreadable_part
from flows.importing.job_failures import (
    cancelled,
    crashed,
    duplicate,
    every_row_failed,
    fault,
    gone,
    no_rows,
    too_many_failures,
)
from flows.importing.occurrences import Fingerprints, Occurrences, fingerprint
from flows.importing.running import Run, conclusion_of, raw_of, request_of
from flows.importing.sources import format_named, obstacle, source_of
from flows.importing.spool import Spool
from flows.journal import Journal, StoreUnavailable
from flows.logging import logger
from flows.metrics import Metrics
from flows.overrides import effective
from flows.providers import LoadedProvider
from stores import import_keys, imports
from stores.import_chunks import chunk_id, ids_of
from stores.imports import Chunk, Job, State, Written
from stores.writer import Work

T = TypeVar("T")
_log = logger("tiffin.imports")
_TRIES = 5
_ENDED: Mapping[State, str] = {"done": "accepted", "partial": "partial", "failed": "failed", "cancelled": "partial"}


class _Lost(Exception):
    """Another process has the job."""


class _Cancelled(Exception):
    """Somebody asked for the end of the job."""


class _Stopping(Exception):
    """This process ends: the job is left to the next one."""


class Importer:
    """Runs jobs for one process, one at a time. `owner` is unique among running processes."""

    def __init__(
        self,
        spool: Spool,
        providers: Mapping[str, LoadedProvider],
        journal: Journal,
        metrics: Metrics,
        clock: Callable[[], datetime],
        *,
        owner: str,
        lease: float,
        most_failures: int,
        one_host: bool,
    ) -> None:
        """`one_host`: all that may have a job runs on this machine, so that one can see who has ended."""
        self.spool = spool
        self._providers, self._journal, self._metrics, self._clock = providers, journal, metrics, clock
        self.owner = self._owner = f"{os.getpid()}:{owner}"
        self._lease, self._most_failures, self._one_host = lease, most_failures, one_host
        self._wanted = asyncio.Event()
        self._stopping = False
        # One thread does all that computes, so that the event loop answers others meanwhile.
        self._thread = ThreadPoolExecutor(1, "import")

    def wake(self) -> None:
        """Says that there is a new job."""
        self._wanted.set()

    def stop(self) -> None:
        """Ends after the chunk in hand; the job stays as it is and is taken up by whoever comes next."""
        self._stopping = True
        self._wanted.set()

    def close(self) -> None:
        self._thread.shutdown(wait=True)

    async def run(self, poll: float = 1.0) -> None:
        """Runs what waits, again and again, and survives every outage of the store."""
        while not self._stopping:
            self._wanted.clear()
            try:
                while not self._stopping and await self.run_next() is not None:
                    pass
            except StoreUnavailable:
                _log.warning("store_unavailable")
            except Exception:
                _log.exception("import_failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), poll)

    async def keep_tidy(self, days: float, pause: float = 3600.0) -> None:
        """Removes the files of jobs that ended so many days ago (0: never), and those that never became jobs."""
        while True:
            now = self._clock()
            with suppress(StoreUnavailable, OSError):
                await asyncio.to_thread(self.spool.sweep, now.timestamp() - 86_400)
                if days:
                    before = now - timedelta(days=days)
                    ended = await self._journal.read(lambda t: imports.finished_before(t, before))  # noqa: B023
                    for id in ended:
                        self.spool.drop(id)
            await asyncio.sleep(pause)

    async def run_next(self) -> Job | None:
        """Runs the oldest job that waits and whose file is here; None where there is none."""
        for id, owner in await self._journal.read(imports.open_jobs):
            if not self.spool.path(id).exists():
                continue
            await self._free(id, owner)
            if (job := await self.run_one(id)) is not None:
                return job
        return None

    async def free(self, job: Job) -> None:
        """Takes a job from a process of this machine that has ended."""
        await self._free(job.id, job.owner)

    async def _free(self, id: str, owner: str) -> None:
        if owner and self._one_host and owner != self._owner and _has_ended(owner):
            await self._journal.write(Work(imports.release, id, owner))

    async def run_one(self, id: str) -> Job | None:
        """Runs one job to its end; None where another process has it, or it has ended."""
        now = self._clock()
        until = now + timedelta(seconds=self._lease)
        job = await self._journal.write(Work(imports.take, self._owner, now, until, id))
        if job is None:
            return None
        _log.info("import_begun", job=job.id, provider=job.provider, feed=job.feed, rows=job.rows)
        renewing = asyncio.get_running_loop().create_task(self._renew(job.id))
        try:
            await self._run(job)
        finally:
            renewing.cancel()
            with suppress(StoreUnavailable):
                await self._journal.write(Work(imports.release, job.id, self._owner))
        return await self._journal.read(lambda t: imports.get(t, job.id))

    async def _renew(self, id: str) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            with suppress(StoreUnavailable):
                until = self._clock() + timedelta(seconds=self._lease)
                await self._journal.write(Work(imports.renew, id, self._owner, until))

    async def _run(self, job: Job) -> None:
        run = Run(job)
        try:
            if job.attempts > imports.MOST_ATTEMPTS:
                raise Refusal(crashed())
            await self._imported(run)
        except _Cancelled:
            await self._end(run, "cancelled", cancelled())
        except Refusal as refusal:
            await self._end(run, "failed", refusal.failure)
        except (_Lost, _Stopping):
            _log.info("import_left", job=job.id)
        except StoreUnavailable:
            _log.warning("store_unavailable", job=job.id)
        except Exception:
            _log.exception("import_failed", job=job.id)
            await self._end(run, "failed", fault())
        finally:
            run.close()

    async def _imported(self, run: Run) -> None:
        job = run.job
        loaded, connection = await self._bound(job)
        run.loaded = loaded
        await self._apart(self._open, run, connection)
        chunks, waiting = run.chunks, run.parts
        assert chunks is not None
        assert waiting is not None
        first = await self._apart(next, waiting, None)
        if first is None:
            raise Refusal(no_rows())
        if not unreadable_part(first):
            reading = await self._apart(chunks.begin, first)
            run.scope = reading.scope
        begun = await self._journal.write(Work(import_keys.begin, job, chunks.key))
        if begun.holder:
            await self._end(run, "duplicate", None, holder=begun.holder)
            return
        chunks.claimant = begun.claimant or job.id
        await self._note_written(run, begun)
        part: Part | None = first
        while part is not None and part.number < job.chunks:
            part = await self._apart(next, waiting, None)
        draft = None if part is None else await self._apart(self._drafted, run, part)
        while part is not None:
            part, draft = await self._one(run, part, draft)
        failed = run.failed + job.failed
        state: State = "done" if not failed else "partial" if run.commands + job.commands else "failed"
        await self._end(run, state, every_row_failed() if state == "failed" else None)

    async def _bound(self, job: Job) -> tuple[LoadedProvider, Connection]:
        """Raises Refusal."""
        loaded = self._providers.get(job.provider)
        connection = await self._journal.connection(job.connection)
        if loaded is None or job.feed not in loaded.interpreter.feeds:
            raise Refusal(gone("feed_missing", "No loaded provider file has its feed."))
        if connection is None:
            raise Refusal(gone("connection_missing", "Its connection is gone."))
        loaded, misfit = await effective(self._journal, loaded, connection)
        if misfit is not None or (misfit := obstacle(loaded.interpreter, job.feed)) is not None:
            raise Refusal(misfit)
        return loaded, connection

    def _open(self, run: Run, connection: Connection) -> None:
        """Raises Refusal."""
        job, interpreter = run.job, run.loaded.interpreter  # type: ignore[union-attr]
        request = request_of(job, self._journal.unseal)
        headers = headers_of(request.headers)
        gzip = headers.encoding == "gzip" or format_named(job.name)[1]
        file = self.spool.opened(job, gzip)
        if not file.path.exists():
            raise Refusal(gone("file_missing", "The job's file is gone."))
        run.file = file
        run.seen = Occurrences(self.spool.seen(job.id), job.seen_bytes)
        run.source = source_of(file, job.format, headers.charset, interpreter, job.feed, self.spool.expanded)
        run.chunks = Chunks(interpreter, job.feed, connection, request, run.source, job.id, job.sha256, run.seen)
        rows = min(job.chunk_rows, interpreter.feeds[job.feed].feed.limits.elements)
        run.parts = parts(run.source, file, rows)

    async def _note_written(self, run: Run, begun: import_keys.Begun) -> None:
        """What earlier jobs and deliveries wrote under the same key is not written again."""
        if not begun.earlier and not begun.written:
            return
        held = Fingerprints()
        for id in orjson.loads(begun.written or "[]"):
            held.add(_mark(id))
        for job, chunks in begun.earlier:
            for at in range(chunks):
                one = await self._journal.read(lambda t, j=job, n=at: list(ids_of(t, j, n, n + 1)))  # type: ignore[misc]
                for id in (id for ids in one for id in ids):
                    held.add(_mark(id))
        run.written = held

    def _drafted(self, run: Run, part: Part) -> Draft | Refusal | None:
        if unreadable_part(part):
            return None
        try:
            assert run.chunks is not None
            return run.chunks.draft(part)
        except Refusal as refusal:
            return refusal

    async def _one(self, run: Run, part: Part, draft: Any) -> tuple[Part | None, Any]:
        """Finishes and commits a chunk; returns the next one, drafted meanwhile."""
        made = await self._made(run, part, draft)
        if made.fatal is not None:
            raise Refusal(made.fatal)
        if run.failed + run.job.failed + made.failed > self._most_failures:
            raise Refusal(too_many_failures(self._most_failures))
        chunk = await self._apart(self._chunk, run, part, made)
        committing = asyncio.get_running_loop().create_task(self._write(chunk))
        try:
            following = await self._apart(self._next, run)
        except BaseException:
            await asyncio.gather(committing, return_exceptions=True)
            # What stood before the fault is written; only then does it end the job.
            if not committing.cancelled() and committing.exception() is None:
                await self._committed(run, part, made, chunk, committing.result(), draft)
            raise
        await self._committed(run, part, made, chunk, await committing, draft)
        return following

    def _next(self, run: Run) -> tuple[Part | None, Any]:
        assert run.parts is not None
        part = next(run.parts, None)
        return part, None if part is None else self._drafted(run, part)

    async def _made(self, run: Run, part: Part, draft: Any) -> Made:
        assert run.chunks is not None
        assert run.source is not None
        if isinstance(draft, Refusal):
            raise draft
        if draft is None:
            assert run.seen is not None
            run.seen.begin()
            return documentless(part, run.source.path)
        resolved = {}
        if draft.refs:
            resolved = await self._journal.resolve(run.job.tenant, run.job.provider, draft.refs)
        delivery = chunk_id(run.job.id, part.number)
        return await self._apart(run.chunks.finish, part, draft, resolved, delivery)

    def _chunk(self, run: Run, part: Part, made: Made) -> Chunk:
        assert run.seen is not None
        job, now = run.job, self._clock()
        delivery = chunk_id(job.id, part.number)
        outcome = made.outcome
        commands = outcome.commands
        if (written := run.written) is not None:
            commands = tuple([c for c in commands if _mark(c.id) not in written])
        told = {"import": job.id, "chunk": part.number, "first_row": part.start + 1, "rows": len(part.rows)}
        raw = raw_of(job, delivery, run.spec_hash, f"import:{job.id}/{part.number}", orjson.dumps(told))
        conclusion = conclusion_of(job, delivery, run, outcome._replace(commands=commands), made.failures, now)
        length = run.seen.store()
        at = perf_counter()
        busy, run.busy_since = int((at - run.busy_since) * 1e6), at
        return Chunk(
            job.id, self._owner, part.number, raw, conclusion, len(part.rows), made.failed, part.at, length, busy
        )

    async def _write(self, chunk: Chunk) -> Written:
        """Raises StoreUnavailable, after some tries."""
        for again in range(_TRIES):
            now = self._clock()
            try:
                return await self._journal.write(
                    Work(imports.write_chunk, chunk, now, now + timedelta(seconds=self._lease))
                )
            except StoreUnavailable:
                if again == _TRIES - 1:
                    raise
                await asyncio.sleep(0.2 * 2**again)
        raise AssertionError

    async def _committed(self, run: Run, part: Part, made: Made, chunk: Chunk, written: Written, draft: Any) -> None:
        for _ in range(_TRIES):
            if written.stopped == "cancelled":
                raise _Cancelled
            if written.stopped:
                raise _Lost
            committed = written.committed
            assert committed is not None
            if not committed.remapped:
                break
            # An id was mapped meanwhile: the chunk is made anew with it.
            made = await self._made(run, part, await self._apart(self._drafted, run, part))
            chunk = await self._apart(self._chunk, run, part, made)
            written = await self._write(chunk)
        else:
            raise Refusal(gone("mappings_unsettled", "The mappings of its ids kept changing."))
        assert run.seen is not None
        await self._apart(run.seen.keep, chunk.seen_bytes)
        run.commands += committed.commands
        run.failed += made.failed
        job = run.job
        self._metrics.imported(job.provider, job.feed, len(part.rows), made.failed)
        self._metrics.written(job.provider, job.feed, committed.commands)
        for failure in made.failures:
            self._metrics.failed(job.provider, job.feed, failure.cls)
        if self._stopping:
            raise _Stopping

    async def _end(self, run: Run, state: State, problem: Failure | None, holder: str = "") -> None:
        job, now = run.job, self._clock()
        told = {"import": job.id, "name": job.name, "bytes": job.bytes, "sha256": job.sha256}
        raw = raw_of(job, job.id, run.spec_hash, job.url, orjson.dumps(told), job.method)
        outcome = Outcome("duplicate" if holder else _ENDED[state])  # type: ignore[arg-type]
        failures = () if problem is None else (problem,)
        key, claimant = None, holder
        if run.chunks is not None:
            key, claimant = run.chunks.key, holder or run.chunks.claimant
        conclusion = conclusion_of(job, job.id, run, outcome, failures, now)._replace(key=key, claimant=claimant)
        shown = "" if problem is None else orjson.dumps(problem.to_json()).decode()
        if holder:
            shown = orjson.dumps(duplicate(holder).to_json()).decode()
        if await self._journal.write(Work(imports.finish, job.id, self._owner, state, now, shown, raw, conclusion)):
            self._metrics.import_ended(job.provider, job.feed, state)
            self.spool.seen(job.id).unlink(missing_ok=True)
            _log.info("import_ended", job=job.id, state=state, commands=run.commands + job.commands)

    async def _apart(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def _has_ended(owner: str) -> bool:
    pid = owner.partition(":")[0]
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _mark(id: str) -> int:
    return fingerprint(id.encode())
