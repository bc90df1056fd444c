"""What the metrics tell of the database, counted now and then: a scrape reads what was counted last.

A count takes longer the more there is; each rests so many times as long as it took that it is never a burden.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import perf_counter
from typing import Final, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection

from stores import ledger, outbox

T = TypeVar("T")

OUTBOX_SECONDS: Final = 5.0
LEDGER_SECONDS: Final = 60.0
_RESTS: Final = 100
"""How many times as long as it took a count rests: it takes one percent of a connection at most."""


class Reads(Protocol):
    """Runs a job on a database connection."""

    def __call__(self, job: Callable[[Connection], T], /) -> Awaitable[T]: ...


class Waiting(NamedTuple):
    """What waits for the bus: since when the oldest row (None: nothing waits), rows and commands, those parked too."""

    oldest: datetime | None = None
    rows: float = math.nan
    commands: float = math.nan
    parked: float = math.nan


class Sampling:
    """The outbox and the ledger's difference as last counted; NaN where that is not known."""

    def __init__(self, read: Reads, clock: Callable[[], datetime]) -> None:
        self._read, self._clock = read, clock
        self.waiting = Waiting()
        self.difference = math.nan

    @property
    def age(self) -> float:
        """Seconds since the oldest row that waits was written; 0 when none waits."""
        if self.waiting.oldest is None:
            return math.nan if math.isnan(self.waiting.rows) else 0.0
        return max(0.0, (self._clock() - self.waiting.oldest).total_seconds())

    async def count_outbox(self) -> None:
        try:
            self.waiting = await self._read(_waiting)
        except Exception:  # whatever keeps it from counting, it counts again
            self.waiting = Waiting()

    async def count_ledger(self) -> None:
        try:
            self.difference = await self._read(ledger.difference)
        except Exception:  # whatever keeps it from counting, it counts again
            self.difference = math.nan

    async def run(self) -> None:
        """Counts until it is cancelled."""
        await asyncio.gather(_again(self.count_outbox, OUTBOX_SECONDS), _again(self.count_ledger, LEDGER_SECONDS))


async def _again(count: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        began = perf_counter()
        await count()
        await asyncio.sleep(max(seconds, _RESTS * (perf_counter() - began)))


def _waiting(connection: Connection) -> Waiting:
    rows, commands, parked = outbox.waiting(connection)
    return Waiting(outbox.oldest_pending(connection), rows, commands, parked)
