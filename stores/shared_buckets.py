"""Token buckets in Redis that several processes take from.

redis is imported when it is configured: a server without it need not carry it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

SECONDS: Final = 0.5
"""How long Redis may take to answer."""

# One slot of a cluster for all, since one script touches several.
_PREFIX: Final = "{tiffin-limits}:"
_SCRIPT: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local levels = {}
for i, key in ipairs(KEYS) do
  local taken, rate, burst = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
  local stands = redis.call('HMGET', key, 'level', 'at')
  local level, at = tonumber(stands[1] or burst), tonumber(stands[2] or now)
  level = math.max(-burst, math.min(burst, level + math.max(0, now - at) * rate) - taken)
  redis.call('HSET', key, 'level', tostring(level), 'at', string.format('%.6f', now))
  redis.call('PEXPIRE', key, math.ceil(2000 * burst / rate) + 1000)
  levels[i] = tostring(level)
end
return levels
"""


class RedisAway(Exception):
    """Redis does not answer, or not in time."""


class Taken(NamedTuple):
    """What one process took from a bucket."""

    key: str
    tokens: int
    rate: float
    burst: float


class SharedBuckets:
    """Buckets by key. An owed level is never below -burst."""

    def __init__(self, url: str) -> None:
        """Nothing is connected before the first call. Raises ValueError: the URL is none."""
        import redis.asyncio
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._redis: Any = redis.asyncio.Redis.from_url(
            url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 0)
        )
        self._script = self._redis.register_script(_SCRIPT)

    async def take(self, taken: Sequence[Taken]) -> list[float]:
        """What all processes left of each bucket. Raises RedisAway."""
        from redis.exceptions import RedisError

        keys = [_PREFIX + one.key for one in taken]
        arguments = [value for one in taken for value in (one.tokens, one.rate, one.burst)]
        try:
            return [float(level) for level in await self._script(keys=keys, args=arguments)]
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisAway(type(error).__name__) from error

    async def ping(self) -> None:
        """Raises RedisAway."""
        from redis.exceptions import RedisError

        try:
            await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisAway(type(error).__name__) from error

    async def close(self) -> None:
        await self._redis.aclose()
