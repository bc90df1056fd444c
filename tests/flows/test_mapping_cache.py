from __future__ import annotations

import asyncio

import pytest

from engine.messages import Ref
from flows.mapping_cache import MappingCache

FRESH = 0.125
SKU = Ref("item", "", "A-1")


class Store:
    """Mappings of one tenant that count how often they are asked, read through a cache."""

    def __init__(self) -> None:
        self.ids, self.changes = {SKU: "itm_1"}, 0
        self.asked = self.loaded = 0
        self.now = 100.0
        self.away = False
        self.cache = MappingCache(self.generation, self.load, fresh=FRESH, clock=lambda: self.now)

    async def generation(self) -> int:
        self.asked += 1
        if self.away:
            raise ConnectionError("the store is away")
        return self.changes

    async def load(self, tenant, provider, refs):
        self.loaded += 1
        return {ref: self.ids[ref] for ref in refs if ref in self.ids}

    def change(self, canonical: str) -> None:
        self.ids[SKU], self.changes = canonical, self.changes + 1

    def resolve(self) -> str | None:
        return asyncio.run(self.cache.resolve("north", "acme", frozenset({SKU}))).get(SKU)


def test_what_is_fresh_is_answered_without_the_store():
    store = Store()
    assert [store.resolve() for _ in range(3)] == ["itm_1"] * 3
    assert (store.asked, store.loaded) == (1, 1)


def test_a_change_is_seen_once_what_is_held_is_no_longer_fresh():
    store = Store()
    store.resolve()
    store.change("itm_2")
    store.now += FRESH
    assert store.resolve() == "itm_2"


def test_what_is_held_stands_while_nothing_changes():
    store = Store()
    store.resolve()
    store.now += FRESH
    store.resolve()
    assert (store.asked, store.loaded) == (2, 1)


def test_an_id_that_is_not_mapped_is_looked_up_each_time():
    store = Store()
    store.ids.clear()
    assert store.resolve() is None
    store.ids[SKU] = "itm_1"
    assert store.resolve() == "itm_1"


def test_a_store_that_is_away_is_told_and_asked_again():
    store = Store()
    store.away = True
    with pytest.raises(ConnectionError):
        store.resolve()
    store.away = False
    assert store.resolve() == "itm_1"
