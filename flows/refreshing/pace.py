"""How fast a connection's provider is asked: so many requests a second, and not before it said it may be again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Pace:
    """By connection, in one process. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float], most: int = 10_000) -> None:
        self._clock, self._most = clock, most
        self._next: dict[str, float] = {}

    def hold(self, connection: str, seconds: float) -> None:
        """Nothing is asked for so long: the provider wants it."""
        self._next[connection] = max(self._next.get(connection, 0.0), self._clock() + seconds)

    def held(self, connection: str) -> float:
        """How many seconds there are until the next request."""
        return max(0.0, self._next.get(connection, 0.0) - self._clock())

    async def turn(self, connection: str, rate: int) -> None:
        """Returns when a request may be sent."""
        if len(self._next) >= self._most:
            now = self._clock()
            self._next = {name: at for name, at in self._next.items() if at > now}
        wait = self.held(connection)
        self._next[connection] = self._clock() + wait + 1 / rate
        if wait:
            await asyncio.sleep(wait)
