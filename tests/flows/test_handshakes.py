from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from flows.handshakes import Rate, Tally
from flows.journal import StoreUnavailable


def test_a_rate_lets_so_many_through_in_a_minute_and_then_more():
    now = 0.0
    rate = Rate(lambda: now)
    assert [rate.allows("a", 2) for _ in range(3)] == [True, True, False]
    now = 59.9
    assert not rate.allows("a", 2)
    now = 60.0
    assert [rate.allows("a", 2) for _ in range(3)] == [True, True, False]


def test_rates_of_different_kinds_do_not_count_together():
    rate = Rate(lambda: 0.0)
    assert rate.allows("a", 1)
    assert rate.allows("b", 1)
    assert not rate.allows("a", 1)


def test_a_rate_holds_no_more_kinds_than_it_may():
    rate = Rate(lambda: 0.0, kinds=10)
    for n in range(1000):
        rate.allows(n, 1)
    assert len(rate._times) == 10


class Store:
    """Counters that may be away."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.writes = 0
        self.away = False
        self.written = asyncio.Event()

    async def write(self, counts: Mapping[str, int]) -> None:
        if self.away:
            raise StoreUnavailable
        self.writes += 1
        self.counts.update(counts)
        self.written.set()


def test_a_moments_counts_are_one_write():
    async def scenario() -> None:
        store = Store()
        tally = Tally(store.write, together=0.0)
        for _ in range(5):
            tally.add("handshakes")
        tally.add("handshakes_refused")
        await tally.close()
        assert (store.counts, store.writes) == ({"handshakes": 5, "handshakes_refused": 1}, 1)

    asyncio.run(scenario())


def test_counts_are_kept_while_the_store_is_away():
    async def scenario() -> None:
        store = Store()
        tally = Tally(store.write, together=0.0)
        store.away = True
        tally.add("handshakes")
        await tally.flush()
        store.away = False
        tally.add("handshakes")
        await tally.close()
        assert store.counts == {"handshakes": 2}

    asyncio.run(scenario())


def test_counting_goes_on_after_a_write():
    async def scenario() -> None:
        store = Store()
        tally = Tally(store.write, together=0.0)
        tally.add("handshakes")
        await store.written.wait()
        tally.add("handshakes")
        await tally.close()
        assert store.counts == {"handshakes": 2}

    asyncio.run(scenario())
