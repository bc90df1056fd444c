from __future__ import annotations

import asyncio

import pytest

from engine.messages import Ref
from flows.mapping_cache import MappingCache

SKU = Ref("item", "", "A-1")


class Store:
    """Mappings of one tenant that count how often they are asked; `gate` holds the generation's answers back."""

    def __init__(self) -> None:
        self.ids, self.changes = {SKU: "itm_1"}, 0
        self.asked = self.loaded = 0
        self.now = 100.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = False
        self.cache = MappingCache(self.generation, self.load, fresh=0.125, clock=lambda: self.now)

    async def generation(self) -> int:
        self.asked += 1
        await self.gate.wait()
        if self.away:
            raise ConnectionError("the store is away")
        return self.changes

    async def load(self, tenant, provider, refs):
        self.loaded += 1
        return {ref: self.ids[ref] for ref in refs if ref in self.ids}

    def change(self, canonical: str) -> None:
        self.ids[SKU], self.changes = canonical, self.changes + 1

    async def resolve(self) -> str:
        return (await self.cache.resolve("north", "acme", frozenset({SKU})))[SKU]


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_is_fresh_is_answered_without_the_store():
    async def scene():
        store = Store()
        assert [await store.resolve() for _ in range(3)] == ["itm_1"] * 3
        assert (store.asked, store.loaded) == (1, 1)

    asyncio.run(scene())


def test_a_change_is_seen_once_what_is_held_is_no_longer_fresh():
    async def scene():
        store = Store()
        await store.resolve()
        store.change("itm_2")
        store.now += 0.125
        assert await store.resolve() == "itm_2"

    asyncio.run(scene())


def test_many_at_once_ask_for_the_generation_once():
    async def scene():
        store = Store()
        store.gate.clear()
        waiting = [asyncio.create_task(store.resolve()) for _ in range(50)]
        await settled()
        store.gate.set()
        assert await asyncio.gather(*waiting) == ["itm_1"] * 50
        assert store.asked == 1

    asyncio.run(scene())


def test_before_it_is_too_old_it_is_asked_for_and_nobody_waits():
    async def scene():
        store = Store()
        await store.resolve()
        store.change("itm_2")
        store.gate.clear()
        store.now += 0.0625
        assert await store.resolve() == "itm_1"
        await settled()
        assert store.asked == 2
        store.gate.set()
        await settled()
        assert await store.resolve() == "itm_2"

    asyncio.run(scene())


def test_an_answer_to_a_question_that_is_too_old_is_asked_for_again():
    """The answer may be from before the change that whoever comes later has seen made."""

    async def scene():
        store = Store()
        await store.resolve()
        store.now += 0.125
        store.gate.clear()
        first = asyncio.create_task(store.resolve())
        await settled()
        store.now += 0.125
        second = asyncio.create_task(store.resolve())
        await settled()
        store.gate.set()
        assert await asyncio.gather(first, second) == ["itm_1"] * 2
        assert store.asked == 3

    asyncio.run(scene())


def test_each_who_waits_is_told_that_the_store_is_away_and_the_next_asks_again():
    async def scene():
        store = Store()
        store.away = True
        told = await asyncio.gather(store.resolve(), store.resolve(), return_exceptions=True)
        assert [type(one) for one in told] == [ConnectionError] * 2
        store.away = False
        assert await store.resolve() == "itm_1"

    asyncio.run(scene())


def test_whoever_hangs_up_takes_the_answer_from_nobody():
    async def scene():
        store = Store()
        store.gate.clear()
        one, other = asyncio.create_task(store.resolve()), asyncio.create_task(store.resolve())
        await settled()
        one.cancel()
        await settled()
        store.gate.set()
        assert await other == "itm_1"
        with pytest.raises(asyncio.CancelledError):
            await one

    asyncio.run(scene())
