"""Removes what has been kept for long enough, in steps so short and so far apart that ingest does not feel them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from flows.journal import StoreUnavailable
from flows.logging import logger
from stores import retention
from stores.deliveries import evict_older
from stores.retention import Place, Removed
from stores.writer import Work

STEP: Final = 100
"""Rows of one transaction."""
SHARE: Final = 0.1
"""The part of the time that the writer spends on it."""
MOST_WAITING: Final = 10_000
"""With more rows than these waiting for the bus nothing is removed: who waits is looked up among them."""
INTERVAL_SECONDS: Final = 600.0

_log = logger("tiffin.retention")


class Gone(NamedTuple):
    """How many deliveries, rows of published commands, passed windows and unverified requests were removed."""

    deliveries: int = 0
    published: int = 0
    windows: int = 0
    quarantined: int = 0


class Retention:
    """`write` runs a job in a transaction of its own. Days of 0 keep for ever."""

    def __init__(
        self,
        write: Callable[[Any], Awaitable[Any]],
        clock: Callable[[], datetime],
        *,
        deliveries_days: float,
        published_days: float,
        quarantine_days: float = 0,
        step: int = STEP,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._write, self._clock, self._step, self._pause = write, clock, step, pause
        self._deliveries, self._published = deliveries_days, published_days
        self._quarantine = quarantine_days

    async def remove(self) -> Gone:
        """Removes all that may go. Raises StoreUnavailable."""
        now = self._clock()
        windows = await self._all(partial(Work, retention.remove_windows, now))
        published = deliveries = quarantined = 0
        if self._quarantine:
            quarantined = await self._all(partial(Work, evict_older, now - timedelta(days=self._quarantine)))
        if self._published:
            before = now - timedelta(days=self._published)
            published = await self._all(partial(Work, retention.remove_published, before))
        if self._deliveries:
            deliveries = await self._remove_deliveries(now - timedelta(days=self._deliveries))
        return Gone(deliveries, published, windows, quarantined)

    async def run(self, interval: float = INTERVAL_SECONDS) -> None:
        """Removes again and again, and survives every outage of the store."""
        while True:
            await self._pause(interval)
            try:
                gone = await self.remove()
            except StoreUnavailable:
                _log.warning("store_unavailable")
            except Exception:
                _log.exception("retention_failed")
            else:
                if any(gone):
                    _log.info("removed", **gone._asdict())

    async def _all(self, job: Callable[[int], Work]) -> int:
        total = 0
        while count := await self._timed(job(self._step)):
            total += count
            if count < self._step:
                break
        return total

    async def _remove_deliveries(self, before: datetime) -> int:
        total, after = 0, None
        while True:
            if await self._timed(Work(retention.bus_is_behind, MOST_WAITING)):
                _log.warning("bus_behind", removed=total)
                return total
            removed = await self._step_from(before, after)
            total, after = total + removed.deliveries, removed.next
            if after is None:
                return total

    async def _step_from(self, before: datetime, after: Place | None) -> Removed:
        removed: Removed = await self._timed(Work(retention.remove_deliveries, before, self._step, after))
        return removed

    async def _timed(self, job: Work) -> Any:
        began = time.perf_counter()
        answer = await self._write(job)
        await self._pause((time.perf_counter() - began) * (1 / SHARE - 1))
        return answer
