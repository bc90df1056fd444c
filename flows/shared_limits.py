"""Tells the other processes what this one's buckets gave, and this one's what the others' did, by way of Redis.

It happens beside the requests, several times a second: so a limit may be passed by what the processes give within
that time. With Redis away each process counts for itself, and the service goes on.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from flows.limits import Limits
from flows.rounds import Log
from stores.shared_buckets import RedisAway, Taken

INTERVAL: Final = 0.1
AWAY_INTERVAL: Final = 1.0
AT_ONCE: Final = 500
"""Buckets in one call: Redis does nothing else meanwhile."""


class Buckets(Protocol):
    """Buckets that several processes take from."""

    async def take(self, taken: list[Taken]) -> list[float]: ...
    async def ping(self) -> None: ...
    async def close(self) -> None: ...


class SharedLimits:
    """Keeps one process's limits and Redis in step."""

    def __init__(self, limits: Limits, buckets: Buckets, log: Log) -> None:
        self._limits, self._buckets, self._log = limits, buckets, log
        self.away = False
        limits.shared = True

    async def run(self) -> None:
        """Until it is cancelled. Survives every outage."""
        while True:
            await self.round()
            await asyncio.sleep(AWAY_INTERVAL if self.away else INTERVAL)

    async def round(self) -> None:
        """One exchange. What could not be told is told later."""
        try:
            if self.away:
                await self._buckets.ping()
            await self._exchange()
        except RedisAway as error:
            if not self.away:
                self._log.warning("redis_away", reason=str(error))
            self.away = True
        except Exception as error:
            if not self.away:
                self._log.warning("limits_not_shared", reason=repr(error))
            self.away = True
        else:
            if self.away:
                self._log.info("redis_back")
            self.away = False

    async def _exchange(self) -> None:
        waiting = self._limits.untold()
        for start in range(0, len(waiting), AT_ONCE):
            chosen = waiting[start : start + AT_ONCE]
            taken = [Taken(bucket.key, bucket.unsent, bucket.rate, bucket.burst) for bucket in chosen]
            levels = await self._buckets.take(taken)
            now = self._limits.now()
            for bucket, sent, level in zip(chosen, taken, levels, strict=True):
                bucket.correct(level, sent.tokens, now)
                self._limits.told(bucket)

    async def answers(self) -> bool:
        """Whether Redis answers now."""
        try:
            await self._buckets.ping()
        except RedisAway:
            return False
        return True

    async def close(self) -> None:
        await self._buckets.close()
