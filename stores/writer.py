"""The group writer: whatever waits is written in one transaction, so one fsync serves many webhooks.

Requests do not commit one by one. While one batch commits, the next gathers by itself. Where much comes, the
writer lets some milliseconds pass before it takes the next: a batch has fixed costs, and the fewer there are the
more webhooks a second there can be. Where little comes nothing waits for a batch to fill. A waiter is woken only
after COMMIT.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future as BlockingFuture
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from stores.batches import Batch, Flight
from stores.checkpoints import Checkpoints
from stores.database import Database
from stores.records import Committed, Conclusion, RawDelivery
from stores.sqlstates import is_away_state, is_contended
from stores.statements import statements
from stores.tables import micros

T = TypeVar("T")
Job = Callable[[Connection], Any]
JOB_SIZE = 100
_MOST_ENTRIES = 1024
MUCH = 8
"""Batches of more entries say that much comes."""
GATHER_SECONDS = 0.002
_TRIES = 5
_STOPPED = "the writer has stopped"


class WriterLost(Exception):
    """The process that writes has ended: nothing is known to be written."""


class Work:
    """A job that can be handed to another process: a function of a module, called with the transaction first."""

    __slots__ = ("_arguments", "_function", "_options")

    def __init__(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        self._function, self._arguments, self._options = function, arguments, options

    def __call__(self, transaction: Connection) -> Any:
        return self._function(transaction, *self._arguments, **self._options)


class Home(Protocol):
    """Where the entries of one caller come from. `settle` is called once a batch, from the writer's thread."""

    def settle(self, entries: list[Entry]) -> None: ...


@dataclass(slots=True)
class Entry:
    """Something to write, and who waits for it: `waiter` is its home's. `size` is in bytes."""

    what: Flight | Conclusion | Job
    size: int
    home: Home
    waiter: Any
    result: Any = field(default=None)
    error: BaseException | None = field(default=None)


class GroupWriter:
    """One writing thread for one process. `on_commit` is called from it after every commit."""

    def __init__(
        self,
        database: Database,
        *,
        max_rows: int = 8192,
        max_bytes: int = 64 << 20,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._queue: deque[Entry] = deque()
        self._bytes = 0
        self._wanted = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="group-writer", daemon=True)
        self._connection: Connection | None = None
        self._loop_home: LoopHome | None = None
        self._statements = statements(database.engine.dialect)
        self._batch = Batch if database.embedded else _postgres_batch()
        self._pause = pause
        file = database.url.database
        self._checkpoints = Checkpoints(file) if database.embedded and file else None
        self.on_commit: Callable[[], None] = lambda: None
        self.written = 0
        """Entries written so far."""

    def start(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.start()
        self._thread.start()

    async def open(self) -> None:
        self.start()

    async def close(self) -> None:
        await asyncio.to_thread(self.stop)

    def stop(self) -> None:
        """Writes what waits, then ends. Later entries are refused."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        if self._thread.is_alive():
            self._thread.join()
        if self._checkpoints is not None:
            self._checkpoints.stop()

    @property
    def depth(self) -> tuple[int, int]:
        """Entries that wait and their bytes."""
        return len(self._queue), self._bytes

    def has_room(self, size: int) -> bool:
        """Whether an entry of so many bytes would be taken without passing the bounds."""
        return len(self._queue) < self._max_rows and self._bytes + size <= self._max_bytes

    async def received(self, raw: RawDelivery, *, owner: str, lease_seconds: float) -> None:
        """Makes a request durable. Raises what the database raises."""
        await self._wait(flight_of(raw, owner, lease_seconds), size_of(raw))

    async def concluded(self, conclusion: Conclusion) -> Committed:
        """Commits an outcome with everything that stands for it."""
        committed: Committed = await self._wait(conclusion, size_of(conclusion))
        return committed

    async def run(self, job: Callable[[Connection], T]) -> T:
        """Any other write, in the same thread; its answer comes after the commit. It must not commit itself."""
        answer: T = await self._wait(job, JOB_SIZE)
        return answer

    def call(self, job: Callable[[Connection], T]) -> T:
        """The same from another thread, which it blocks."""
        answer: BlockingFuture[T] = BlockingFuture()
        self.submit(Entry(job, JOB_SIZE, _THREADS, answer))
        return answer.result()

    async def _wait(self, what: Any, size: int) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self.submit(Entry(what, size, self._home(loop), answer))
        # Whoever hangs up cancels the future alone: the entry is written all the same.
        return await answer

    def _home(self, loop: asyncio.AbstractEventLoop) -> LoopHome:
        if self._loop_home is None or self._loop_home.loop is not loop:
            self._loop_home = LoopHome(loop)
        return self._loop_home

    def submit(self, *entries: Entry) -> None:
        """Takes entries from any thread. Raises RuntimeError once stopped."""
        size = sum([entry.size for entry in entries])
        with self._wanted:
            if self._stopping:
                raise RuntimeError(_STOPPED)
            if not self._queue:
                self._wanted.notify()
            self._queue.extend(entries)
            self._bytes += size

    def _work(self) -> None:
        while entries := self._take():
            self._write(entries)
            self.written += len(entries)
            with suppress(Exception):
                self.on_commit()
            _wake(entries)
            if self._checkpoints is not None and self._connection is not None:
                self._checkpoints.committed(self._connection.connection.driver_connection)
            if len(entries) > MUCH and not self._stopping:
                self._pause(GATHER_SECONDS)
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

    def _write(self, entries: list[Entry], tries: int = _TRIES) -> None:
        """One transaction; a batch that fails is halved until the guilty entry stands alone."""
        try:
            self._transact(entries)
        except Exception as error:
            if tries > 1 and is_contended(error):
                self._write(entries, tries - 1)
                return
            if len(entries) == 1 or is_away(error):
                self._fail(entries, error)
                return
            middle = len(entries) // 2
            self._write(entries[:middle])
            self._write(entries[middle:])

    def _transact(self, entries: list[Entry]) -> None:
        connection = self._connected()
        committing, session = False, 0
        try:
            with connection.begin() as transaction:
                batch = self._batch(connection, self._statements)
                session = batch.session
                self._apply(batch, connection, entries)
                committing = True
                transaction.commit()
        except Exception as error:
            self._forget()
            if committing and self._stands(entries, session):
                return
            raise error

    def _apply(self, batch: Batch, connection: Connection, entries: list[Entry]) -> None:
        # All of them waited at once, so jobs may come first: a batch does not see what changes after it has read.
        for entry in entries:
            if callable(entry.what):
                entry.result = entry.what(connection)
        batch.expect([entry.what for entry in entries])
        for entry in entries:
            what = entry.what
            if isinstance(what, Flight):
                batch.receive(what)
                entry.result = None
            elif isinstance(what, Conclusion):
                entry.result = batch.conclude(what)
        batch.flush()

    def _stands(self, entries: list[Entry], session: int) -> bool:
        """Whether a transaction whose COMMIT was not answered stands: its rows are read back."""
        try:
            connection = self._connected()
            with connection.begin():
                batch = self._batch(connection, self._statements)
                if not batch.wait_for_end(session):
                    return False
                return any(batch.stands(entry.what) for entry in entries if not callable(entry.what))
        except Exception:
            return False

    def _fail(self, entries: list[Entry], error: BaseException) -> None:
        for entry in entries:
            entry.result, entry.error = None, error

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._database.engine.connect().execution_options(writing=True)
            if self._checkpoints is not None:
                self._checkpoints.opened(self._connection.connection.driver_connection)
        return self._connection

    def _forget(self) -> None:
        """The connection may be broken: the next batch opens another."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.invalidate()
            with suppress(Exception):
                self._connection.close()
            self._connection = None


def _postgres_batch() -> type[Batch]:
    # Imported here because it is of no use to the embedded set-up.
    from stores.postgres_batches import PostgresBatch

    return PostgresBatch


def is_away(error: BaseException) -> bool:
    """Whether the database itself is the trouble, not an entry of the batch."""
    if getattr(error, "connection_invalidated", False) or is_away_state(getattr(error, "orig", error)):
        return True
    # Not the whole text: it quotes the entry's own values.
    said = str(getattr(error, "orig", error))
    return "is locked" in said or "is full" in said


@dataclass(frozen=True, slots=True)
class LoopHome:
    """Wakes the waiters of a batch with one call into their event loop."""

    loop: asyncio.AbstractEventLoop

    def settle(self, entries: list[Entry]) -> None:
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(_settle_all, entries)


class _Threads:
    """Wakes threads that block on their answer."""

    def settle(self, entries: list[Entry]) -> None:
        _settle_all(entries)


_THREADS = _Threads()


def _settle_all(entries: list[Entry]) -> None:
    for entry in entries:
        if entry.waiter.done():
            continue
        if entry.error is not None:
            entry.waiter.set_exception(entry.error)
        else:
            entry.waiter.set_result(entry.result)


def _wake(entries: list[Entry]) -> None:
    by_home: dict[int, tuple[Home, list[Entry]]] = {}
    for entry in entries:
        by_home.setdefault(id(entry.home), (entry.home, []))[1].append(entry)
    for home, waiting in by_home.values():
        home.settle(waiting)


def flight_of(raw: RawDelivery, owner: str, lease_seconds: float) -> Flight:
    """A raw delivery on which `owner` works from now on."""
    return Flight(raw, owner, micros(raw.received_at) + int(lease_seconds * 1e6))


def size_of(what: RawDelivery | Conclusion) -> int:
    """About how many bytes it is, for the bounds of the queue."""
    if isinstance(what, RawDelivery):
        return len(what.body) + len(what.headers) + 500
    return sum([len(group.data) + len(group.ids) for group in what.groups]) + len(what.results) + 500
