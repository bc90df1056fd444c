"""How much may be under way at once: bytes of bodies held, and the share of them being evaluated.

A body is paid for before it is read, so that what is held never passes the bound, whatever arrives at
once. Both counters belong to one event loop and are not safe from other threads.
"""

from __future__ import annotations

import asyncio
from collections import deque

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
ZIP_EXPANDS = 20


def weight(body: bytes) -> int:
    """The bytes that a body comes to once it is read: those of gzip as it says itself, of a workbook an estimate."""
    if body.startswith(GZIP):
        return max(len(body), int.from_bytes(body[-4:], "little"))
    return len(body) * ZIP_EXPANDS if body.startswith(ZIP) else len(body)


class Gate:
    """Admits bodies while the bytes held stay within `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, size: int) -> bool:
        """Reserves `size` bytes; False when they do not fit (nothing is reserved then)."""
        if self.held + size > self.limit:
            return False
        self.held += size
        return True

    def hold(self, size: int) -> None:
        """Counts bytes that are already here and stay for longer, whether they fit or not."""
        self.held += size

    def give(self, size: int) -> None:
        self.held -= size


class Turns:
    """Lets evaluations of large bodies in, first come first served, while their bytes stay within `limit`.

    An evaluation needs many times the memory of its body; so one body of the greatest size runs alone, and
    smaller ones run side by side.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, size: int) -> None:
        """Waits for the turn. `size` above the limit counts as the limit. Pair with `leave(size)`."""
        size = min(size, self._limit)
        if not self._waiting and self._running + size <= self._limit:
            self._running += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(size)
            raise

    def leave(self, size: int) -> None:
        self._running -= min(size, self._limit)
        while self._waiting:
            needed, turn = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
            elif self._running + needed <= self._limit:
                self._waiting.popleft()
                self._running += needed
                turn.set_result(None)
            else:
                return
