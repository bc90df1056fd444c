"""How many requests a second one connection and one address may send: token buckets.

A bucket is a few numbers in this process, so that no request waits for another machine. Where several processes
serve, `flows.shared_limits` tells each what the others took.

An address pays for every request. A connection pays for those that verified: a stranger who names it in the URL
must not use up its share.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from engine.messages import Connection

SETTING: Final = "requests_per_second"
"""The connection's own limit, in its settings."""
MOST_BUCKETS: Final = 20_000
"""Buckets held for each kind; beyond it those that nobody asked for the longest are forgotten."""


class Bucket:
    """`level` tokens at the time `at`, refilled by `rate` a second up to `burst`.

    `unsent` is what was taken since the other processes were last told.
    """

    __slots__ = ("at", "burst", "key", "level", "rate", "unsent")

    def __init__(self, key: str, rate: float, burst: float, at: float) -> None:
        self.key, self.rate, self.burst = key, rate, burst
        self.level, self.at, self.unsent = burst, at, 0

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 where there is one."""
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        return 0.0 if self.level >= 1 else (1 - self.level) / self.rate

    def take(self, now: float) -> float:
        """Takes a token; returns what `wait` says, and takes nothing where there is none."""
        wait = self.wait(now)
        if not wait:
            self.level -= 1
            self.unsent += 1
        return wait

    def correct(self, level: float, sent: int, now: float) -> None:
        """`level` is what all processes together left; `sent` of what this one took is counted in it."""
        self.unsent -= sent
        self.level, self.at = level - self.unsent, now


class Limits:
    """The limits of one process. Rates are requests a second; 0 is none. `burst` is in seconds of the rate.

    With `shared`, what was taken is noted until the other processes know it. Belongs to one event loop.
    """

    def __init__(
        self, per_connection: float, per_address: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_connection, self._per_address, self._burst, self._clock = per_connection, per_address, burst, clock
        self._connections: OrderedDict[str, Bucket] = OrderedDict()
        self._addresses: OrderedDict[str, Bucket] = OrderedDict()
        self._untold: dict[str, Bucket] = {}
        self.by_address = per_address > 0
        self.shared = False

    def address(self, peer: str) -> float:
        """Takes one for an address: seconds to wait, 0 where it may pass."""
        if not self.by_address:
            return 0.0
        key = network_of(peer)
        return self._take(self._addresses, f"a:{key}", self._per_address)

    def named(self, connection: str) -> float:
        """What a connection would have to wait; takes nothing. 0 for one that nothing was taken for."""
        bucket = self._connections.get(f"c:{connection}")
        return bucket.wait(self._clock()) if bucket is not None else 0.0

    def connection(self, connection: Connection) -> float:
        """Takes one for a connection that verified: seconds to wait, 0 where it may pass."""
        rate = rate_of(connection, self._per_connection)
        if rate <= 0:
            self._connections.pop(f"c:{connection.id}", None)
            return 0.0
        return self._take(self._connections, f"c:{connection.id}", rate)

    @property
    def any_connection(self) -> bool:
        """Whether some connection has paid: only then is it worth a look which one a URL names."""
        return bool(self._connections)

    def untold(self) -> list[Bucket]:
        """The buckets that something was taken from since the others were told."""
        return list(self._untold.values())

    def told(self, bucket: Bucket) -> None:
        """The others know what was taken from a bucket."""
        if not bucket.unsent:
            self._untold.pop(bucket.key, None)

    def now(self) -> float:
        return self._clock()

    def _take(self, buckets: OrderedDict[str, Bucket], key: str, rate: float) -> float:
        bucket = self._bucket(buckets, key, rate)
        wait = bucket.take(self._clock())
        if self.shared and not wait:
            self._untold[key] = bucket
        return wait

    def _bucket(self, buckets: OrderedDict[str, Bucket], key: str, rate: float) -> Bucket:
        bucket = buckets.get(key)
        if bucket is None or bucket.rate != rate:
            # At least one: a rate below one a second must let the first request pass.
            bucket = buckets[key] = Bucket(key, rate, max(1.0, rate * self._burst), self._clock())
            if len(buckets) > MOST_BUCKETS:
                buckets.popitem(last=False)
        buckets.move_to_end(key)
        return bucket


def rate_of(connection: Connection, default: float) -> float:
    """The connection's own limit, else the default. What is no number is the default."""
    own = connection.settings.get(SETTING)
    return float(own) if isinstance(own, int | float) and not isinstance(own, bool) and own >= 0 else default


@lru_cache(4096)
def network_of(peer: str) -> str:
    """Whom an address is counted with: itself, but an IPv6 address with its /64, which one host may use whole."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.ip_network((address, 64), strict=False))
