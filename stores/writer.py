"""The group writer: whatever waits is written in one transaction, so one fsync serves many webhooks.

Requests do not commit one by one. While one batch commits, the next gathers by itself; nothing waits for a
batch to fill. A waiter is woken only after COMMIT.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future as BlockingFuture
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from stores.batches import Batch, Flight
from stores.database import Database
from stores.records import Committed, Conclusion, RawDelivery
from stores.statements import statements

T = TypeVar("T")
_MOST_ENTRIES = 1024
_STOPPED = "the writer has stopped"


@dataclass(slots=True)
class Entry:
    """Something to write, and who waits for it. `size` is in bytes."""

    what: Flight | Conclusion | Callable[[Connection], Any]
    size: int
    wake: Callable[[Any, BaseException | None], None]
    loop: asyncio.AbstractEventLoop | None = None
    result: Any = field(default=None)
    error: BaseException | None = field(default=None)


class GroupWriter:
    """One writing thread for one process. `on_commit` is called from it after every commit."""

    def __init__(self, database: Database, *, max_rows: int = 8192, max_bytes: int = 64 << 20) -> None:
        self._database = database
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._queue: deque[Entry] = deque()
        self._bytes = 0
        self._wanted = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="group-writer", daemon=True)
        self._connection: Connection | None = None
        self._statements = statements(database.engine.dialect)
        self.on_commit: Callable[[], None] = lambda: None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Writes what waits, then ends. Later entries are refused."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def depth(self) -> tuple[int, int]:
        """Entries that wait and their bytes."""
        return len(self._queue), self._bytes

    def has_room(self, size: int) -> bool:
        """Whether an entry of so many bytes would be taken without passing the bounds."""
        return len(self._queue) < self._max_rows and self._bytes + size <= self._max_bytes

    async def received(self, raw: RawDelivery, *, owner: str, lease_seconds: float) -> None:
        """Makes a request durable. Raises what the database raises."""
        until = raw.received_at + timedelta(seconds=lease_seconds)
        await self._wait(Flight(raw, owner, until), len(raw.body) + len(raw.headers) + 500)

    async def concluded(self, conclusion: Conclusion) -> Committed:
        """Commits an outcome with everything that stands for it."""
        size = sum(len(command.event) for command in conclusion.commands) + len(conclusion.results) + 500
        committed: Committed = await self._wait(conclusion, size)
        return committed

    async def run(self, job: Callable[[Connection], T]) -> T:
        """Any other write, in the same thread; its answer comes after the commit. It must not commit itself."""
        answer: T = await self._wait(job, 100)
        return answer

    def call(self, job: Callable[[Connection], T]) -> T:
        """The same from another thread, which it blocks."""
        answer: BlockingFuture[T] = BlockingFuture()
        self._submit(Entry(job, 100, lambda result, error: _settle(answer, result, error)))
        return answer.result()

    async def _wait(self, what: Any, size: int) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._submit(Entry(what, size, lambda result, error: _settle(answer, result, error), loop))
        # Whoever hangs up cancels nothing: the entry is written all the same.
        return await asyncio.shield(answer)

    def _submit(self, entry: Entry) -> None:
        with self._wanted:
            if self._stopping:
                raise RuntimeError(_STOPPED)
            self._queue.append(entry)
            self._bytes += entry.size
            self._wanted.notify()

    def _work(self) -> None:
        while entries := self._take():
            self._write(entries)
            with suppress(Exception):
                self.on_commit()
            _wake(entries)
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> list[Entry]:
        """What waits, in order; empty only when stopping and nothing is left."""
        with self._wanted:
            while not self._queue and not self._stopping:
                self._wanted.wait()
            entries = [self._queue.popleft() for _ in range(min(len(self._queue), _MOST_ENTRIES))]
            self._bytes -= sum(entry.size for entry in entries)
            return entries

    def _write(self, entries: list[Entry]) -> None:
        """One transaction; a batch that fails is halved until the guilty entry stands alone."""
        try:
            self._transact(entries)
        except Exception as error:
            if len(entries) == 1 or _is_away(error):
                self._fail(entries, error)
                return
            middle = len(entries) // 2
            self._write(entries[:middle])
            self._write(entries[middle:])

    def _transact(self, entries: list[Entry]) -> None:
        connection = self._connected()
        committing = False
        try:
            with connection.begin() as transaction:
                batch = Batch(connection, self._statements)
                self._apply(batch, connection, entries)
                committing = True
                transaction.commit()
        except Exception as error:
            self._forget()
            if committing and self._stands(entries):
                return
            raise error

    def _apply(self, batch: Batch, connection: Connection, entries: list[Entry]) -> None:
        for entry in entries:
            what = entry.what
            if isinstance(what, Flight):
                batch.receive(what)
                entry.result = None
            elif isinstance(what, Conclusion):
                entry.result = batch.conclude(what)
            else:
                batch.flush()
                entry.result = what(connection)
        batch.flush()

    def _stands(self, entries: list[Entry]) -> bool:
        """Whether a transaction whose COMMIT was not answered stands: its rows are read back."""
        try:
            connection = self._connected()
            with connection.begin():
                batch = Batch(connection, self._statements)
                return any(batch.stands(entry.what) for entry in entries if not callable(entry.what))
        except SQLAlchemyError:
            return False

    def _fail(self, entries: list[Entry], error: BaseException) -> None:
        for entry in entries:
            entry.result, entry.error = None, error

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._database.engine.connect().execution_options(writing=True)
        return self._connection

    def _forget(self) -> None:
        """The connection may be broken: the next batch opens another."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.invalidate()
            with suppress(Exception):
                self._connection.close()
            self._connection = None


def _is_away(error: BaseException) -> bool:
    """Whether the database itself is the trouble, not an entry of the batch."""
    return bool(getattr(error, "connection_invalidated", False)) or "locked" in str(error) or "full" in str(error)


def _settle(answer: Any, result: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


def _wake(entries: list[Entry]) -> None:
    """Wakes all the waiters of a batch with one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop | None, list[Entry]] = {}
    for entry in entries:
        by_loop.setdefault(entry.loop, []).append(entry)
    for loop, waiting in by_loop.items():
        if loop is None:
            _settle_all(waiting)
        else:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle_all, waiting)


def _settle_all(entries: list[Entry]) -> None:
    for entry in entries:
        entry.wake(entry.result, entry.error)
