"""Reads a topic as a group of its own, on the event loop; what is made of a batch and the offsets commit as one.

Most commands are of no interest, so offsets alone are written seldom: what was passed over is passed over again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection

from bus.consumers import Consumer, Start
from bus.messages import Stored
from flows.journal import Journal
from flows.logging import logger
from stores import reader_offsets
from stores.reader_offsets import Moved, commit
from stores.writer import Work

BATCH = 1000
_POLL_SECONDS = 0.5
_REST = 4.0
"""So many times as long as it reads, it leaves the processor to others while there is more."""
_LONGEST_BACKOFF = 30.0
_NOTE_SECONDS, _NOTE_MESSAGES = 10.0, 20_000

_log = logger("tiffin.fetch")

Prepare = Callable[[Sequence[Stored]], Awaitable[Sequence[Any]]]
"""Makes of a batch what is to be written, behind the transaction; nothing: the batch is of no interest."""


class Follower:
    """One reader. `write` is a function of a module, called with what `prepare` made: it may run elsewhere."""

    def __init__(
        self,
        name: str,
        open_: Callable[[Start], Consumer],
        journal: Journal,
        prepare: Prepare,
        write: Callable[[Connection, Sequence[Any]], object],
    ) -> None:
        self._name, self._open, self._journal = name, open_, journal
        self._prepare, self._write = prepare, write
        self._stored: dict[int, int] = {}
        self._passed: dict[int, int] = {}
        self._noted = time.monotonic()
        self.behind = self.taken = 0

    async def run(self) -> None:
        """Follows until it is cancelled; whatever fails is tried again."""
        # The consumer belongs to one thread.
        thread = ThreadPoolExecutor(1, self._name)
        consumer: Consumer | None = None
        failures = 0
        try:
            while True:
                started = time.monotonic()
                try:
                    consumer = consumer or await self._call(thread, self._open, self._starting)
                    taken = await self._round(thread, consumer)
                    failures = 0
                except Moved:
                    await asyncio.sleep(_POLL_SECONDS)
                except Exception as error:
                    failures += 1
                    delay = min(_LONGEST_BACKOFF, 0.5 * 2.0 ** min(failures - 1, 10))
                    _log.warning("follower_failed", follower=self._name, reason=repr(error), retry_in=delay)
                    await asyncio.sleep(delay)
                else:
                    await asyncio.sleep(_REST * (time.monotonic() - started) if taken else _POLL_SECONDS)
        finally:
            if consumer is not None:
                thread.submit(consumer.close)
            thread.shutdown(wait=False)

    async def _round(self, thread: ThreadPoolExecutor, consumer: Consumer) -> int:
        try:
            messages = await self._call(thread, consumer.take, BATCH)
            await self._take_in(messages)
            self.taken += len(messages)
            self.behind = await self._call(thread, consumer.behind)
        except Exception:
            self._stored, self._passed = {}, {}
            await self._call(thread, consumer.restart)
            raise
        return len(messages)

    async def _take_in(self, messages: Sequence[Stored]) -> None:
        found = await self._prepare(messages) if messages else ()
        self._passed.update({message.partition: message.offset + 1 for message in messages})
        if not found and not self._worth_noting():
            return
        moves = {partition: (self._stored.get(partition, 0), end) for partition, end in self._passed.items()}
        if not await self._journal.write(Work(commit, self._name, moves, self._write, found)):
            raise Moved(f"another process has moved the offsets of {self._name}")
        self._stored.update(self._passed)
        self._noted = time.monotonic()

    def _worth_noting(self) -> bool:
        ahead = sum(end - self._stored.get(partition, 0) for partition, end in self._passed.items())
        return ahead >= _NOTE_MESSAGES or (ahead > 0 and time.monotonic() - self._noted >= _NOTE_SECONDS)

    def _starting(self, partition: int) -> int:
        stored = self._journal.read_in_thread(lambda connection: reader_offsets.offsets(connection, self._name))
        self._stored[partition] = stored.get(partition, 0)
        self._passed.pop(partition, None)
        return self._stored[partition]

    async def _call(self, thread: ThreadPoolExecutor, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(thread, function, *arguments)
