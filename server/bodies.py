"""Reads a request's body within its bounds, paying for it at the gate before it is read.

BodyRefused
├── too_large      more bytes than allowed, declared or streamed
├── busy           the gate has no room
├── rate_limited   the address, or the connection that the URL names, sent too many; `wait` seconds are left
├── body_timeout   it did not arrive in time
└── hung_up        the client went away before the end
"""

from __future__ import annotations

import asyncio
from typing import Literal

from starlette.types import Receive, Scope

from flows.admission import Gate

Reason = Literal["too_large", "busy", "rate_limited", "body_timeout", "hung_up"]


class BodyRefused(Exception):
    def __init__(self, reason: Reason, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.wait = wait


def declared_length(scope: Scope) -> int | None:
    """Content-Length, None where there is none."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None


class Body:
    """A body on its way in. `held` bytes are reserved at the gate until `release`."""

    def __init__(self, gate: Gate, limit: int) -> None:
        self._gate, self._limit = gate, limit
        self.held = 0

    def reserve(self, size: int) -> None:
        """Raises BodyRefused (too_large, busy)."""
        if self.held + size > self._limit:
            raise BodyRefused("too_large")
        if not self._gate.take(size):
            raise BodyRefused("busy")
        self.held += size

    def release(self) -> None:
        self._gate.give(self.held)
        self.held = 0

    async def read(self, receive: Receive, declared: int | None, seconds: float) -> bytes:
        """Raises BodyRefused. With a declared length that much is already reserved."""
        deadline = _Deadline(seconds)
        try:
            chunk, more = await self._chunk(receive, declared)
            if not more:
                return chunk
            body = bytearray(chunk)
            while more:
                chunk, more = await self._chunk(receive, declared)
                body += chunk
            return bytes(body)
        except asyncio.CancelledError:
            if deadline.met():
                raise BodyRefused("body_timeout") from None
            raise
        finally:
            deadline.end()

    async def _chunk(self, receive: Receive, declared: int | None) -> tuple[bytes, bool]:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyRefused("hung_up")
        chunk: bytes = message.get("body", b"")
        if declared is None:
            self.reserve(len(chunk))
        return chunk, message.get("more_body", False)


class _Deadline:
    """Cancels the running task after some seconds. asyncio.timeout costs several times as much."""

    __slots__ = ("_passed", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(loop)
        self._passed = False
        self._timer = loop.call_later(seconds, self._pass)

    def _pass(self) -> None:
        self._passed = True
        if self._task is not None:
            self._task.cancel()

    def met(self) -> bool:
        """Whether it is this deadline, and nothing else, that cancelled the task."""
        return self._passed and self._task is not None and self._task.uncancel() == 0

    def end(self) -> None:
        self._timer.cancel()


async def discard(receive: Receive, most: int, seconds: float) -> None:
    """Takes in and drops what the client still sends, so that it gets to read its answer.

    Closing a socket with unread bytes resets it, and a reset discards the answer on its way.
    """
    try:
        async with asyncio.timeout(seconds):
            while most > 0:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                most -= len(message.get("body", b""))
    except TimeoutError:
        return
