"""Replays sets of deliveries in the background: at a rate, with progress, until done or cancelled.

What a job is to replay is kept when it begins: deliveries that come later, or that the filters no longer choose
because they are mended, change nothing in it. A job whose process has ended can be taken up where it stopped.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from flows.journal import Journal, StoreUnavailable
from flows.logging import logger
from flows.replay import Replay
from stores import desk_jobs
from stores.writer import Work

MOST: Final = 100_000
"""More deliveries than this are not one job."""
RATE: Final = 50
FASTEST: Final = 500
SILENT: Final = timedelta(seconds=30)
"""A job that has noted nothing for so long runs nowhere."""
AS: Final = "as"
"""Under this name a job keeps whether it replays as then or as now."""
_AT_ONCE = 20
_PATIENCE_SECONDS = 2.0
_log = logger("tiffin.desk")


class Jobs:
    """The jobs of one process."""

    def __init__(self, journal: Journal, replay: Replay, clock: Callable[[], datetime]) -> None:
        self._journal, self._replay, self._clock = journal, replay, clock
        self._running: dict[str, asyncio.Task[None]] = {}

    async def begin(
        self, deliveries: Sequence[str], who: str, why: str, what: Mapping[str, Any], rate: int = RATE,
        as_then: bool = False,
    ) -> str:  # fmt: skip
        """Begins a replay of deliveries; returns the job's id. `rate` is deliveries a second."""
        id = secrets.token_hex(8)
        create = Work(
            desk_jobs.create,
            id,
            self._clock(),
            who,
            why,
            {**what, AS: "then" if as_then else "now"},
            list(deliveries),
            rate,
        )
        await self._journal.write(create)
        self._start(id, who, rate, as_then)
        return id

    async def resume(self, id: str, who: str) -> bool:
        """Takes up a job that runs nowhere; False where there is none such."""
        now = self._clock()
        job = await self._journal.read(lambda transaction: desk_jobs.get(transaction, id))
        # One that was cancelled has said so: nobody need wait for its silence.
        unseen = now if job is not None and job.state == "cancelled" else now - SILENT
        if job is None or not await self._journal.write(Work(desk_jobs.take_up, id, unseen, who, now)):
            return False
        self._start(id, who, job.rate, orjson.loads(job.what).get(AS) == "then")
        return True

    def _start(self, id: str, who: str, rate: int, as_then: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._run(id, who, rate, as_then))
        self._running[id] = task
        task.add_done_callback(lambda _: self._running.pop(id, None))

    async def _run(self, id: str, who: str, rate: int, as_then: bool) -> None:
        while True:
            try:
                return await self._replay_all(id, who, rate, as_then)
            except StoreUnavailable:
                _log.warning("job_waits_for_store", job=id)
                await asyncio.sleep(_PATIENCE_SECONDS)
            except Exception:
                _log.exception("job_failed", job=id)
                return None

    async def _replay_all(self, id: str, who: str, rate: int, as_then: bool) -> None:
        state = "running"
        at_once = max(1, min(_AT_ONCE, rate))
        while state == "running":
            items = await self._journal.read(lambda transaction: desk_jobs.next_items(transaction, id, at_once))
            if not items:
                break
            started = time.monotonic()
            verdicts = {}
            for delivery in items:
                one = await self._replay.one(delivery, as_then=as_then)
                verdicts[delivery] = one.verdict or f"not run: {one.failures[0].code}"
            state = await self._journal.write(Work(desk_jobs.note, id, verdicts, who, self._clock()))
            await asyncio.sleep(max(0.0, len(items) / rate - (time.monotonic() - started)))
        job = await self._journal.read(lambda transaction: desk_jobs.get(transaction, id))
        ended = "cancelled" if state != "running" else "done"
        told = dict(job.verdicts) if job else {}
        await self._journal.write(Work(desk_jobs.finish, id, ended, who, self._clock(), told))
