"""The serving process's end of the writer process: hands over what is to be written and wakes who waits.

Entries of one turn of the event loop go out as one frame, and the answers of one commit come back as one.
When the writer process dies, whatever waits fails as WriterLost and another process is started. Deliveries
whose outcome nobody knows stay in flight until recovery takes them over.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection

from flows.consume.health import ConsumersHealth
from flows.logging import logger
from flows.project import ProjectionHealth
from flows.relay import RelayHealth
from flows.writer_process import LENGTH, Ready, Start, WriterNotStarted, frame
from stores import wire
from stores.records import Committed, Conclusion, RawDelivery
from stores.wire import Failed
from stores.writer import JOB_SIZE, WriterLost, flight_of, size_of

T = TypeVar("T")
_ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = 32
"""Entries are handed over when so many have gathered, or at the end of the event loop's turn: a long turn must not
leave the writer without work."""
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.2, 10.0

_log = logger("tiffin.writer")


class WriteRefused(Exception):
    """The database does not take an entry: the fault is the entry's."""


class _Waiting(NamedTuple):
    answer: asyncio.Future[Any]
    size: int


class WriterClient:
    """Has the interface of stores.writer.GroupWriter. `keep` are files that the other process is to hold open."""

    def __init__(self, start: Start, *, max_rows: int, max_bytes: int, keep: Iterable[int] = ()) -> None:
        self._start, self._keep = start, tuple(keep)
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._waiting: dict[int, _Waiting] = {}
        self._bytes = 0
        self._number = 0
        self._out: list[tuple[int, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._ready: asyncio.Future[Ready] | None = None
        self._lost: asyncio.Future[None] | None = None
        self._stopping = False
        self._restarting: asyncio.Task[None] | None = None
        self.health = RelayHealth()
        self.projection = ProjectionHealth()
        self.consumers = ConsumersHealth({})

    async def open(self) -> None:
        """Raises WriterNotStarted."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = self._spawned(theirs.fileno())
        ours.setblocking(False)
        self._ready, self._lost = loop.create_future(), loop.create_future()
        transport, _ = await loop.create_connection(lambda: _Stream(self), sock=ours)
        self._transport = transport
        transport.write(frame([(0, wire.pack_answer(self._start, None))]))
        try:
            async with asyncio.timeout(_START_SECONDS):
                ready = await self._ready
        except (TimeoutError, WriterLost):
            ready = Ready("the writer process ended while it started, or took too long")
        if ready.problem:
            await self._end()
            raise WriterNotStarted(ready.problem)

    def _spawned(self, file: int) -> subprocess.Popen[bytes]:
        # Not `-m`: what is pickled must come from the module's own name, not from `__main__`.
        # Nothing here speaks TLS: asyncio does without it, and an idle server with less memory.
        run = (
            "from flows.lean import without\nwith without('ssl'): import asyncio\n"
            "from flows.writer_process import main; main()"
        )
        return subprocess.Popen(  # noqa: S603 nothing of it comes from outside
            [sys.executable, "-c", run, str(file)],
            pass_fds=(file, *self._keep),
            env={**os.environ, "PYTHONPATH": _python_path()},
        )

    async def close(self) -> None:
        """Writes what waits and ends the process."""
        self._stopping = True
        if self._restarting is not None:
            self._restarting.cancel()
        self._flush()
        await self._end()

    async def _end(self) -> None:
        transport, process = self._transport, self._process
        if transport is None or process is None or self._lost is None:
            return
        self._stopping = True
        if transport.can_write_eof() and not transport.is_closing():
            transport.write_eof()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.shield(self._lost)
            await asyncio.to_thread(process.wait, _STOP_SECONDS)
        except (TimeoutError, subprocess.TimeoutExpired):
            _log.warning("writer_killed")
            process.kill()
            await asyncio.to_thread(process.wait)
        transport.close()

    @property
    def depth(self) -> tuple[int, int]:
        """Entries that wait for a commit, and their bytes."""
        return len(self._waiting), self._bytes

    def has_room(self, size: int) -> bool:
        """Whether an entry of so many bytes would be taken without passing the bounds."""
        return len(self._waiting) < self._max_rows and self._bytes + size <= self._max_bytes

    async def received(self, raw: RawDelivery, *, owner: str, lease_seconds: float) -> None:
        """Makes a request durable. Raises WriterLost and WriteRefused, as all that write do."""
        await self._hand_over(flight_of(raw, owner, lease_seconds), size_of(raw))

    async def concluded(self, conclusion: Conclusion) -> Committed:
        """Commits an outcome with everything that stands for it."""
        committed: Committed = await self._hand_over(conclusion, size_of(conclusion))
        return committed

    async def run(self, job: Callable[[Connection], T]) -> T:
        """Any other write; its answer comes after the commit. `job` must be picklable: see stores.writer.Work."""
        answer: T = await self._hand_over(job, JOB_SIZE)
        return answer

    def _hand_over(self, what: Any, size: int) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        if self._transport is None or self._transport.is_closing():
            answer.set_exception(WriterLost("the writer process is being started again"))
            return answer
        self._number += 1
        self._waiting[self._number] = _Waiting(answer, size)
        self._bytes += size
        if not self._out:
            loop.call_soon(self._flush)
        self._out.append((self._number, wire.pack(what)))
        if len(self._out) >= AT_ONCE:
            self._flush()
        return answer

    def _flush(self) -> None:
        if self._out and self._transport is not None:
            out, self._out = self._out, []
            self._transport.write(frame(out))

    # ---- what comes back ----

    def told(self, answers: list[tuple[int, Any]]) -> None:
        """Takes one frame from the writer process."""
        for number, packed in answers:
            result = wire.unpack_answer(packed)
            if number:
                self._settle(number, result)
            elif isinstance(result, RelayHealth):
                self.health = result
            elif isinstance(result, ProjectionHealth):
                self.projection = result
            elif isinstance(result, ConsumersHealth):
                self.consumers = result
            elif self._ready is not None and not self._ready.done():
                self._ready.set_result(result)

    def _settle(self, number: int, result: Any) -> None:
        answer, size = self._waiting.pop(number)
        self._bytes -= size
        # Whoever hangs up cancels the future alone: the entry was written all the same.
        if answer.done():
            return
        if isinstance(result, Failed):
            answer.set_exception((WriterLost if result.away else WriteRefused)(result.error))
        else:
            answer.set_result(result)

    def lost(self) -> None:
        """The stream has ended."""
        self._transport, self._out = None, []
        waiting, self._waiting, self._bytes = self._waiting, {}, 0
        for one in waiting.values():
            if not one.answer.done():
                one.answer.set_exception(WriterLost("the writer process has ended"))
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(WriterLost("the writer process has ended"))
        elif not self._stopping:
            _log.error("writer_ended", waiting=len(waiting))
            self.health = RelayHealth("stopped", "the writer process has ended")
            self.projection = ProjectionHealth("stopped", "the writer process has ended")
            self._restarting = asyncio.get_running_loop().create_task(self._restart())
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    async def _restart(self) -> None:
        delay = _FIRST_BACKOFF
        while True:
            if self._process is not None:
                await asyncio.to_thread(self._process.wait)
            await asyncio.sleep(delay)
            try:
                await self.open()
            except (WriterNotStarted, OSError) as error:
                self._stopping = False
                delay = min(2 * delay, _LONGEST_BACKOFF)
                _log.warning("writer_not_started", reason=str(error), retry_in=delay)
            else:
                _log.info("writer_started_again")
                return


class _Stream(asyncio.Protocol):
    """Puts frames together from what the socket gives."""

    def __init__(self, client: WriterClient) -> None:
        self._client = client
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(buffer, at)
            end = at + LENGTH.size + length
            if len(buffer) < end:
                break
            answers = wire.loads(memoryview(buffer)[at + LENGTH.size : end])
            at = end
            self._client.told(answers)
        if at:
            self._buffer = buffer[at:]

    def connection_lost(self, error: Exception | None) -> None:
        self._client.lost()


def _python_path() -> str:
    given = os.environ.get("PYTHONPATH", "")
    return f"{_ROOT}{os.pathsep}{given}" if given else str(_ROOT)
