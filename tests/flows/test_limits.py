from __future__ import annotations

import asyncio
import os
import uuid
from typing import Any

import pytest

from engine.messages import Connection
from flows import limits as limits_module
from flows.limits import Limits, network_of
from flows.shared_limits import SharedLimits
from stores.shared_buckets import RedisAway, SharedBuckets, Taken

REDIS = os.environ.get("TIFFIN_TEST_REDIS_URL", "")
needs_redis = pytest.mark.skipif(not REDIS, reason="TIFFIN_TEST_REDIS_URL names no Redis")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Lines:
    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, /, **facts: Any) -> None:
        self.events.append(event)

    warning = info


class Redis:
    """Buckets that are there or away, as a test says. Each holds what was left of it."""

    def __init__(self) -> None:
        self.away = False
        self.levels: dict[str, float] = {}

    async def take(self, taken: list[Taken]) -> list[float]:
        await self.ping()
        for one in taken:
            self.levels[one.key] = self.levels.get(one.key, one.burst) - one.tokens
        return [self.levels[one.key] for one in taken]

    async def ping(self) -> None:
        if self.away:
            raise RedisAway("away")

    async def close(self) -> None:
        pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


def one(id: str = "one", **settings: Any) -> Connection:
    return Connection(id, "north", "acme", settings=settings)


def passed(limits: Limits, times: int, connection: Connection | None = None) -> int:
    """How many of so many requests at once pass."""
    return sum(limits.connection(connection or one()) == 0 for _ in range(times))


def test_a_burst_passes_and_then_the_rate(clock: Clock) -> None:
    limits = Limits(5, 0, 2, clock)
    assert passed(limits, 20) == 10
    clock.now += 1
    assert passed(limits, 20) == 5


def test_who_must_wait_is_told_until_when(clock: Clock) -> None:
    limits = Limits(0.5, 0, 2, clock)
    passed(limits, 1)
    assert limits.connection(one()) == 2.0
    clock.now += 1
    assert limits.connection(one()) == 1.0


def test_no_more_than_the_burst_is_saved_up(clock: Clock) -> None:
    limits = Limits(5, 0, 2, clock)
    passed(limits, 10)
    clock.now += 3600
    assert passed(limits, 20) == 10


def test_connections_do_not_take_from_each_other(clock: Clock) -> None:
    limits = Limits(1, 0, 3, clock)
    passed(limits, 10, one("a"))
    assert passed(limits, 10, one("b")) == 3


@pytest.mark.parametrize(
    ("settings", "most"),
    [({"requests_per_second": 2}, 2), ({"requests_per_second": 0}, 50), ({"requests_per_second": "fast"}, 4), ({}, 4)],
)
def test_a_connections_own_limit_comes_before_the_default(settings: Any, most: int, clock: Clock) -> None:
    assert passed(Limits(4, 0, 1, clock), 50, one(**settings)) == most


def test_a_changed_limit_holds_at_once(clock: Clock) -> None:
    limits = Limits(1, 0, 1, clock)
    passed(limits, 5)
    assert passed(limits, 50, one(requests_per_second=7)) == 7


def test_who_is_only_named_takes_nothing(clock: Clock) -> None:
    limits = Limits(1, 0, 2, clock)
    assert [limits.named("one") for _ in range(50)] == [0] * 50
    assert passed(limits, 5) == 2
    assert limits.named("one") == 1.0


def test_addresses_are_counted_each_for_itself(clock: Clock) -> None:
    limits = Limits(0, 1, 2, clock)
    assert [limits.address("192.0.2.1") for _ in range(3)] == [0, 0, 1.0]
    assert limits.address("192.0.2.2") == 0


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_an_ipv6_host_is_its_network(peer: str, network: str) -> None:
    assert network_of(peer) == network


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(limits_module, "MOST_BUCKETS", 10)
    limits = Limits(0, 1, 1, clock)
    for n in range(100):
        limits.address(f"192.0.2.{n}")
    assert len(limits._addresses) == 10


def test_two_processes_share_one_limit(clock: Clock) -> None:
    redis, log = Redis(), Lines()
    first, second = Limits(1, 0, 10, clock), Limits(1, 0, 10, clock)
    exchanges = [SharedLimits(limits, redis, log) for limits in (first, second)]

    async def work() -> int:
        total = passed(first, 6) + passed(second, 1)
        for exchange in exchanges:
            await exchange.round()
        return total + passed(second, 10)

    assert asyncio.run(work()) == 10


def test_what_is_taken_while_redis_answers_is_not_given_back(clock: Clock) -> None:
    limits = Limits(1, 0, 10, clock)

    class Slow(Redis):
        async def take(self, taken: list[Taken]) -> list[float]:
            found = await super().take(taken)
            passed(limits, 3)
            return found

    exchange = SharedLimits(limits, Slow(), Lines())
    passed(limits, 4)
    asyncio.run(exchange.round())
    assert passed(limits, 10) == 3


def test_with_redis_away_each_counts_for_itself_and_tells_it_later(clock: Clock) -> None:
    redis, log = Redis(), Lines()
    limits = Limits(1, 0, 10, clock)
    exchange = SharedLimits(limits, redis, log)

    async def work() -> None:
        redis.away = True
        passed(limits, 4)
        await exchange.round()
        await exchange.round()
        assert exchange.away
        assert passed(limits, 2) == 2
        redis.away = False
        await exchange.round()

    asyncio.run(work())
    assert log.events == ["redis_away", "redis_back"]
    assert redis.levels == {"c:one": 4.0}
    assert not exchange.away


def test_an_exchange_with_nothing_to_tell_asks_nothing(clock: Clock) -> None:
    redis = Redis()
    limits = Limits(1, 0, 10, clock)
    exchange = SharedLimits(limits, redis, Lines())

    async def work() -> None:
        passed(limits, 1)
        await exchange.round()
        redis.levels.clear()
        await exchange.round()

    asyncio.run(work())
    assert redis.levels == {}


# ---- on Redis ----


@pytest.fixture
def key() -> str:
    return f"test:{uuid.uuid4().hex}"


def shared(work: Any) -> Any:
    async def run() -> Any:
        buckets = SharedBuckets(REDIS)
        try:
            return await work(buckets)
        finally:
            await buckets.close()

    return asyncio.run(run())


@needs_redis
def test_redis_adds_up_what_processes_took(key: str) -> None:
    async def work(buckets: SharedBuckets) -> list[float]:
        slow = (0.001, 10.0)
        return [
            *(await buckets.take([Taken(key, 3, *slow)])),
            *(await buckets.take([Taken(key, 4, *slow), Taken(key + "b", 1, *slow)])),
        ]

    assert [round(level, 1) for level in shared(work)] == [7.0, 3.0, 9.0]


@needs_redis
def test_a_level_in_redis_is_never_owed_beyond_the_burst(key: str) -> None:
    async def work(buckets: SharedBuckets) -> list[float]:
        return await buckets.take([Taken(key, 1000, 0.001, 10.0)])

    assert shared(work) == [-10.0]


@needs_redis
def test_a_bucket_in_redis_refills(key: str) -> None:
    async def work(buckets: SharedBuckets) -> float:
        await buckets.take([Taken(key, 10, 1e6, 10.0)])
        # At a million a second any later call finds it full.
        [level] = await buckets.take([Taken(key, 0, 1e6, 10.0)])
        return level

    assert shared(work) == 10.0


@needs_redis
def test_a_bucket_in_redis_does_not_stay_for_ever(key: str) -> None:
    async def work(buckets: SharedBuckets) -> int:
        await buckets.take([Taken(key, 1, 5.0, 10.0)])
        return int(await buckets._redis.pttl("{tiffin-limits}:" + key))

    assert 0 < shared(work) <= 5000


def test_a_redis_that_is_away_says_so() -> None:
    async def work() -> None:
        buckets = SharedBuckets("redis://127.0.0.1:1/0")
        with pytest.raises(RedisAway):
            await buckets.take([Taken("k", 1, 1.0, 1.0)])
        with pytest.raises(RedisAway):
            await buckets.ping()
        await buckets.close()

    asyncio.run(work())
