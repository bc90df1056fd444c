"""The stored deliveries of a provider through two files, in processes of their own, chunk by chunk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Protocol

from sqlalchemy import Connection as Transaction

from engine.interpreter import Interpreter
from engine.messages import Connection, Ref, Request
from engine.problems import ProviderFileError
from flows.backtesting.comparing import Begun, begin, compared, end
from flows.backtesting.report import Report
from flows.differences import Difference
from flows.journal import database_url, objects_of, secret_box
from flows.providers import LoadedProvider, load_text, with_overrides
from flows.sealing import opened
from flows.settings import Settings
from stores import backtests, connections, mappings
from stores.database import open_database
from stores.deliveries import StoredDelivery
from stores.payloads import PayloadLost
from stores.secrets import SecretKeyError

CHUNK = 500
_SHOWN = 2000
_AHEAD = 2


@dataclass(frozen=True)
class Wanted:
    """Which deliveries: `sample` is one of so many (1: all), chosen by their ids, so that it is the same each time."""

    provider: str
    since: datetime | None = None
    until: datetime | None = None
    feed: str | None = None
    tenant: str | None = None
    sample: int = 1


@dataclass(frozen=True)
class Task:
    """What a process is told at its start."""

    settings: Settings
    old: str
    new: str
    examples: int


def backtest(
    task: Task, chunks: Iterable[Sequence[str]], processes: int, done: Callable[[int], None], total: Report
) -> None:
    """Runs every chunk of ids and adds to `total`; `done` is told how many deliveries are behind.

    KeyboardInterrupt ends it early: `total` then holds what was done.
    """
    waiting = iter(chunks)
    # A forked child would share the parent's database connections.
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (task,)) as pool:
        running: set[Future[Report]] = set()
        try:
            while True:
                while len(running) < processes * _AHEAD and (chunk := next(waiting, None)) is not None:
                    running.add(pool.submit(_chunk, list(chunk)))
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for one in finished:
                    total.merge(one.result())
                    done(total.deliveries + sum(total.lost.values()))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Show(Protocol):
    """Makes what an example tells of a delivery: its differences, and its body as text."""

    def __call__(
        self, stored: StoredDelivery, old: Interpreter, begun: Begun, found: list[Difference]
    ) -> tuple[list[Difference], str]: ...


class Comparer:
    """One process: its database, both provider files, and the connections of deliveries."""

    def __init__(self, task: Task, show: Show | None = None) -> None:
        """`show` None: what differs is told as it is, and bodies are shown as they are stored."""
        import schemas

        self._task, self._show = task, show or _as_stored
        self._database = open_database(database_url(task.settings))
        self._objects = objects_of(task.settings)
        self._box = secret_box(task.settings)
        canon = schemas.canon()
        self._old, self._new = load_text(task.old, canon), load_text(task.new, canon)
        self._connections: dict[str, Connection | None] = {}

    def close(self) -> None:
        self._database.close()

    def run(self, ids: list[str]) -> Report:
        report = Report(self._task.examples)
        with self._database.engine.connect() as transaction, transaction.begin():
            found = backtests.payloads_of(transaction, self._objects, ids)
            started = [one for stored in found if (one := self._started(transaction, stored, report)) is not None]
            resolved = _resolved(transaction, started)
        for one in started:
            known = resolved.get((one.connection.tenant, one.connection.provider), {})
            before = end(one.interpreters[0], one.old, known, one.stored.id)
            after = end(one.interpreters[1], one.new, known, one.stored.id)
            report.deliveries += 1
            report.commands += len(before.commands)
            if differing := compared(one.old, one.new, before, after):
                report.add(one.stored.id, *self._show(one.stored, one.interpreters[0], one.old, differing))
        return report

    def _started(
        self, transaction: Transaction, stored: StoredDelivery | tuple[str, PayloadLost], report: Report
    ) -> _Started | None:
        if isinstance(stored, tuple):
            report.lost[stored[1].code] += 1
            return None
        connection = self._connection(transaction, stored.connection)
        if connection is None:
            report.lost["connection_missing"] += 1
            return None
        try:
            old, new = (_effective(loaded, connection) for loaded in (self._old, self._new))
        except ProviderFileError:
            report.lost["overrides_do_not_fit"] += 1
            return None
        try:
            request: Request = opened(stored, self._box.unseal)
        except (SecretKeyError, ValueError):
            report.lost["payload_unreadable"] += 1
            return None
        return _Started(
            stored,
            connection,
            (old, new),
            begin(old, stored.feed, request, connection),
            begin(new, stored.feed, request, connection),
        )

    def _connection(self, transaction: Transaction, id_: str) -> Connection | None:
        if id_ not in self._connections:
            self._connections[id_] = connections.get(transaction, id_, self._box, datetime.now(UTC))
        return self._connections[id_]


@dataclass(frozen=True, slots=True)
class _Started:
    stored: StoredDelivery
    connection: Connection
    interpreters: tuple[Interpreter, Interpreter]
    old: Begun
    new: Begun


def _effective(loaded: LoadedProvider, connection: Connection) -> Interpreter:
    return with_overrides(loaded, connection.overrides).interpreter


def _resolved(transaction: Transaction, started: list[_Started]) -> dict[tuple[str, str], dict[Ref, str]]:
    """The mappings of all of a chunk at once, by tenant and provider."""
    wanted: dict[tuple[str, str], set[Ref]] = {}
    for one in started:
        owner = (one.connection.tenant, one.connection.provider)
        wanted.setdefault(owner, set()).update(one.old.refs, one.new.refs)
    return {owner: mappings.resolve(transaction, *owner, refs) for owner, refs in wanted.items()}


def _shown(stored: StoredDelivery) -> str:
    """The body as it is stored, for an example; a sealed one is not shown."""
    if stored.body_sealed:
        return "(sealed)"
    text = stored.body[:_SHOWN].decode("utf-8", "replace")
    return text if len(stored.body) <= _SHOWN else f"{text}…"


def _as_stored(
    stored: StoredDelivery, old: Interpreter, begun: Begun, found: list[Difference]
) -> tuple[list[Difference], str]:
    return found, _shown(stored)


_worker: Comparer | None = None


def _begin(task: Task) -> None:
    global _worker
    import signal

    # The parent hears the interrupt and ends its processes in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = Comparer(task)


def _chunk(ids: list[str]) -> Report:
    assert _worker is not None
    return _worker.run(ids)


def chunks(ids: Iterable[str], size: int = CHUNK) -> Iterator[list[str]]:
    """Ids by the chunk."""
    chunk: list[str] = []
    for one in ids:
        chunk.append(one)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def processors() -> int:
    """How many processes run at once where nobody says."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


__all__ = ["CHUNK", "Comparer", "Show", "Task", "Wanted", "backtest", "chunks", "processors"]
