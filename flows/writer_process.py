"""The process that writes: group writer, relay and projection, apart from the process that serves.

Python runs one thread at a time, and SQLite's driver gives the turn away at every row: beside a busy event
loop a writing thread would wait for its turn a hundred times a batch. Here it waits for nobody.

The serving process talks to it over a socket, in frames of a length (4 bytes, big-endian) and what
`stores.wire` makes of a list of (number, entry or answer):

    →  0: Start, once; then numbered entries, Flight | Conclusion | Job
    ←  0: Ready, once; then answers by number, each list after its commit; 0: RelayHealth, ProjectionHealth,
                                                                              ConsumersHealth

The end of the stream is the order to stop: what was read is written, then the process ends. So nothing that
the serving process handed over is lost when it is killed.
"""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, NamedTuple, TypeVar

from sqlalchemy import Connection

from bus import Bus, BusUnavailable, open_bus
from bus.consumers import open_consumer
from bus.topics import CATALOG_COMMANDS, INTEGRATION_FAILURES
from flows.consume.health import ConsumersHealth
from flows.consume.running import Around, Consumers, Options
from flows.failure_relay import FailureRelay
from flows.lean import settle
from flows.logging import configure_logging, logger
from flows.project import GROUP, ProjectionHealth, ProjectionPace, Projector
from flows.relay import Pace, Relay, RelayHealth
from flows.turns import Turn
from stores import wire
from stores.database import open_database
from stores.wire import Failed
from stores.writer import Entry, GroupWriter, is_away

T = TypeVar("T")
LENGTH = struct.Struct("!I")
_HEALTH_SECONDS = 0.25
_STOP_SECONDS = 10.0
_TURN_SECONDS = 0.0005
_SHARED_POLL_SECONDS = 0.2
"""On a shared database another process may write what this one is to move on, and wakes nobody here."""
_POOL = 7
"""One connection writes; the relays, the projection and the consumers read on one each."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the process is to do. `relay_owner` names the relay on its leases."""

    database_url: str
    kafka_bootstrap: str
    data: Path
    relay_owner: str
    log_level: str
    kafka_settings: Mapping[str, str] = field(default_factory=dict)
    consume: Options = field(default_factory=Options)


class Ready(NamedTuple):
    """The process writes; `problem` says why it does not."""

    problem: str = ""


class WriterNotStarted(Exception):
    """The writer did not come up: the bus cannot be opened, or the process ended."""


def frame(numbered: list[tuple[int, Any]]) -> bytes:
    """A frame of packed entries or answers."""
    packed = wire.dumps(numbered)
    return LENGTH.pack(len(packed)) + packed


def frames(stream: BinaryIO) -> Iterator[list[tuple[int, Any]]]:
    """Every whole frame until the stream ends."""
    while len(head := _read(stream, LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        packed = _read(stream, length)
        if len(packed) < length:
            return
        yield wire.loads(packed)


def _read(stream: BinaryIO, size: int) -> bytes:
    """As many bytes, or fewer at the end: a process that is killed before it has read all resets its stream."""
    try:
        return stream.read(size)
    except ConnectionError:
        return b""


class Outbound:
    """The way back to the serving process: the home of all entries. A reader that is gone is no error."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._turn = threading.Lock()

    def send(self, answers: list[tuple[int, Any]]) -> None:
        with self._turn, suppress(OSError):
            self._sock.sendall(frame(answers))

    def tell(self, what: Ready | RelayHealth | ProjectionHealth | ConsumersHealth) -> None:
        self.send([(0, wire.pack_answer(what, None))])

    def settle(self, entries: list[Entry]) -> None:
        self.send([(e.waiter, wire.pack_answer(e.result, _failed(e.error))) for e in entries])


def _failed(error: BaseException | None) -> Failed | None:
    return None if error is None else Failed(is_away(error), f"{type(error).__name__}: {getattr(error, 'orig', error)}")


class Busy:
    """Whether more than so many entries a second were written since that was last asked."""

    def __init__(self, written: Callable[[], int], clock: Callable[[], float], rate: float = 500.0) -> None:
        """`clock` counts seconds."""
        self._written, self._clock, self._rate = written, clock, rate
        self._before = (written(), clock())

    def __call__(self) -> bool:
        before, self._before = self._before, (self._written(), self._clock())
        count, seconds = (now - then for now, then in zip(self._before, before, strict=True))
        return count > self._rate * seconds


class Writing:
    """Group writer, relay, projection and bus on one database, whatever process they run in."""

    def __init__(self, start: Start, *, max_rows: int = sys.maxsize, max_bytes: int = sys.maxsize) -> None:
        self._database = open_database(start.database_url, pool=_POOL)
        self._start = start
        self.writer = GroupWriter(self._database, max_rows=max_rows, max_bytes=max_bytes)
        self._buses: list[Bus] = []
        self._relay: Relay | None = None
        self._failures: FailureRelay | None = None
        self._projector: Projector | None = None
        self._consumers: Consumers | None = None

    @property
    def health(self) -> RelayHealth:
        return RelayHealth() if self._relay is None else self._relay.health

    @property
    def projection(self) -> ProjectionHealth:
        return ProjectionHealth() if self._projector is None else self._projector.health

    @property
    def consumers(self) -> ConsumersHealth:
        return ConsumersHealth({}) if self._consumers is None else self._consumers.health

    def start(self) -> None:
        """Raises BusUnavailable."""
        # One each: a topic that takes nothing holds up whoever publishes to it, and nobody else.
        for _ in range(2):
            self._buses.append(open_bus(self._start.kafka_bootstrap, self._start.data, self._start.kafka_settings))
        commands, failures = self._buses
        log: Any = logger("tiffin.relay")
        failures_log: Any = logger("tiffin.failures")
        self._relay = Relay(
            bus=commands,
            owner=self._start.relay_owner,
            read=self._read,
            write=self.writer.call,
            clock=lambda: datetime.now(UTC),
            jitter=random.random,
            log=log,
            pace=Pace() if self._database.embedded else Pace(poll=_SHARED_POLL_SECONDS),
        )
        self._failures = FailureRelay(
            bus=failures,
            topic=INTEGRATION_FAILURES,
            owner=self._start.relay_owner,
            read=self._read,
            write=self.writer.call,
            clock=lambda: datetime.now(UTC),
            log=failures_log,
        )
        projection_log: Any = logger("tiffin.projection")
        start = self._start
        self._projector = Projector(
            open_consumer=partial(
                open_consumer,
                start.kafka_bootstrap,
                start.data,
                CATALOG_COMMANDS,
                GROUP,
                kafka_settings=start.kafka_settings,
            ),
            read=self._read,
            write=self.writer.call,
            clock=lambda: datetime.now(UTC),
            jitter=random.random,
            log=projection_log,
            pace=ProjectionPace() if self._database.embedded else ProjectionPace(poll=_SHARED_POLL_SECONDS),
            busy=Busy(lambda: self.writer.written, monotonic),
            turn=self._turn(GROUP),
        )
        around = Around(
            start.kafka_bootstrap, start.kafka_settings, start.data, self._database, self._read, self.writer.call,
            lambda: Busy(lambda: self.writer.written, monotonic), self._turn,
        )  # fmt: skip
        self._consumers = Consumers(start.consume, around)
        self._projector.on_written = self._consumers.written
        self.writer.start()
        self.writer.on_commit = self._relay.wake
        self._relay.on_moved = self._projector.wake
        self._relay.start()
        self._failures.start()
        self._projector.start()
        self._consumers.start()

    def _turn(self, group: str) -> Turn | None:
        """Kafka shares partitions out by itself, and on SQLite there is one process."""
        if self._start.kafka_bootstrap or self._database.embedded:
            return None
        return Turn(group, self._start.relay_owner, self._read, self.writer.call, lambda: datetime.now(UTC))

    def stop(self) -> None:
        """Ends the loops after the round in hand, writes what waits and closes everything."""
        if self._projector is not None:
            self._projector.stop(_STOP_SECONDS)
        if self._consumers is not None:
            self._consumers.stop()
        if self._failures is not None:
            self._failures.stop(_STOP_SECONDS)
        if self._relay is not None:
            self._relay.stop(_STOP_SECONDS)
            self.writer.stop()
        for bus in self._buses:
            bus.close()
        self._database.close()

    def _read(self, job: Callable[[Connection], T]) -> T:
        with self._database.engine.connect() as connection:
            return job(connection)


class WriterHere:
    """Writes in threads of the serving process. Has the interface of flows.writer_client.WriterClient."""

    def __init__(self, start: Start, *, max_rows: int, max_bytes: int) -> None:
        self._writing = Writing(start, max_rows=max_rows, max_bytes=max_bytes)
        writer = self._writing.writer
        self.has_room, self.received, self.concluded, self.run = (
            writer.has_room, writer.received, writer.concluded, writer.run,
        )  # fmt: skip

    @property
    def depth(self) -> tuple[int, int]:
        return self._writing.writer.depth

    @property
    def health(self) -> RelayHealth:
        return self._writing.health

    @property
    def projection(self) -> ProjectionHealth:
        return self._writing.projection

    @property
    def consumers(self) -> ConsumersHealth:
        return self._writing.consumers

    async def open(self) -> None:
        try:
            await asyncio.to_thread(self._writing.start)
        except BusUnavailable as error:
            raise WriterNotStarted(str(error)) from None

    async def close(self) -> None:
        await asyncio.to_thread(self._writing.stop)


def serve(sock: socket.socket) -> None:
    """Writes what comes until the stream ends."""
    incoming = frames(sock.makefile("rb"))
    ((_, first),) = next(incoming)
    start: Start = wire.unpack_answer(first)
    configure_logging(start.log_level)
    outbound = Outbound(sock)
    writing = Writing(start)
    try:
        writing.start()
    except BusUnavailable as error:
        outbound.tell(Ready(str(error)))
        return
    settle()
    outbound.tell(Ready())
    stopping = threading.Event()
    threading.Thread(target=_tell_health, args=(writing, outbound, stopping), daemon=True).start()
    for entries in incoming:
        writing.writer.submit(*[Entry(wire.unpack(packed), 0, outbound, number) for number, packed in entries])
    stopping.set()
    writing.stop()


def _tell_health(writing: Writing, outbound: Outbound, stopping: threading.Event) -> None:
    relay: RelayHealth | None = None
    projection: ProjectionHealth | None = None
    consumers: ConsumersHealth | None = None
    while not stopping.wait(_HEALTH_SECONDS):
        if (health := writing.health) != relay:
            outbound.tell(relay := health)
        if (seen := writing.projection) != projection:
            outbound.tell(projection := seen)
        if (consume := writing.consumers) != consumers:
            outbound.tell(consumers := consume)


def main() -> None:
    # Whoever stops the serving process stops this one by the end of the stream, never by a signal in between.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # The driver gives the turn away at every statement; relay and projection are not to keep it for 5 ms each time.
    sys.setswitchinterval(_TURN_SECONDS)
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        serve(sock)
