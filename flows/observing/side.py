"""The process that works for the observer: started when there is work, ended when there has been none for a while.

Over its standard input and output go frames of a length (4 bytes, big-endian) and a pickle:

    →  Settings, once; then Compare | Look
    ←  an answer to each: (True, what came of it) or (False, why nothing did)

The end of its input is the order to stop.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import struct
import sys
from asyncio.subprocess import PIPE, Process
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from flows.settings import Settings

if TYPE_CHECKING:
    from flows.observing.drifting import Drifting
    from flows.observing.shadowing import Shadowing

_ROOT = Path(__file__).resolve().parents[2]
_LENGTH = struct.Struct("!I")
_SECONDS = 120.0
_STOP_SECONDS = 5.0
NICE = 10


class Compare(NamedTuple):
    """Deliveries of a provider through two texts of its file. The answer is a backtest's Report."""

    provider: str
    live: str
    new: str
    ids: list[str]


class Look(NamedTuple):
    """Deliveries whose payloads are compared with what is known of their feeds. The answer is a drifting.Looked."""

    ids: list[str]


class SideFailed(Exception):
    """The process did not do what it was asked to; the text says why."""


class Side:
    """The end of the serving process. One question at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: Process | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None

    async def ask(self, what: Compare | Look) -> Any:
        """Raises SideFailed; the process is then started anew for the next question."""
        try:
            async with asyncio.timeout(_SECONDS):
                done, answer = await self._asked(what)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            await self.close()
            raise SideFailed(f"the process ended or took too long: {type(error).__name__}") from None
        except asyncio.CancelledError:
            await self.close()
            raise
        if not done:
            raise SideFailed(answer)
        return answer

    async def _asked(self, what: Compare | Look) -> tuple[bool, Any]:
        if self._process is None:
            self._process = await _spawned()
            self._send(self._settings)
        self._send(what)
        assert self._process.stdout is not None
        (length,) = _LENGTH.unpack(await self._process.stdout.readexactly(_LENGTH.size))
        answer: tuple[bool, Any] = pickle.loads(await self._process.stdout.readexactly(length))  # noqa: S301 ours
        return answer

    def _send(self, what: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(_frame(what))

    async def close(self) -> None:
        """Ends the process, at once where it works."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS if process.returncode is None else 0.1):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _spawned() -> Process:
    run = "from flows.observing.side import main; main()"
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", run, stdin=PIPE, stdout=PIPE, env=environment)


def _frame(what: object) -> bytes:
    packed = pickle.dumps(what, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(packed)) + packed


# ---- the process itself ----


def main() -> None:
    """Answers what comes until the stream ends."""
    import signal

    # The end of the stream says when to stop, never a signal in between.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Nothing that is printed may come between the frames.
    os.dup2(2, 1)
    settings = _read(incoming)
    if settings is None:
        return
    workers = _Workers(settings)
    while (what := _read(incoming)) is not None:
        outgoing.write(_frame(workers.answer(what)))
        outgoing.flush()


class _Workers:
    """What does the work, made when it is first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def shadowing(self) -> Shadowing:
        from flows.observing.shadowing import Shadowing

        return Shadowing(self._settings)

    @cached_property
    def drifting(self) -> Drifting:
        from flows.observing.drifting import Drifting

        return Drifting(self._settings)

    def answer(self, what: Compare | Look) -> tuple[bool, Any]:
        try:
            if isinstance(what, Compare):
                return True, self.shadowing.compare(*what)
            return True, self.drifting.look(what.ids)
        except Exception as error:
            first = next(iter(str(error).splitlines()), "")
            return False, f"{type(error).__name__}: {first[:300]}"


def _read(stream: BinaryIO) -> Any:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    packed = stream.read(length)
    return pickle.loads(packed) if len(packed) == length else None  # noqa: S301 the other end is this program
