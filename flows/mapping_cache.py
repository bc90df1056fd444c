"""Canonical ids that this process has looked up before.

Most webhooks name ids that were named before, and each look-up costs more than the rest of the store's part in
a small webhook. What is held is dropped when `generation` moves, which every change of a mapping by an operator
moves; it is asked for at most every `fresh` seconds, so a change is seen that late at most. Ids that are not
mapped are never held.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from engine.messages import Ref

MOST: Final = 50_000
"""As many ids are held, about 20 MB; beyond it all are dropped."""

Load = Callable[[str, str, frozenset[Ref]], Awaitable[dict[Ref, str]]]


class MappingCache:
    """For one event loop. `generation` and `load` read the store and raise what it raises."""

    def __init__(
        self,
        generation: Callable[[], Awaitable[int]],
        load: Load,
        *,
        fresh: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generation, self._load = generation, load
        self._fresh, self._clock = fresh, clock
        self._seen = -1
        self._checked = float("-inf")
        self._held: dict[tuple[str, str], dict[Ref, str]] = {}
        self._count = 0

    async def resolve(self, tenant: str, provider: str, refs: frozenset[Ref]) -> dict[Ref, str]:
        """The canonical ids of those refs that are mapped."""
        if self._clock() - self._checked >= self._fresh:
            await self._check()
        held = self._held.get((tenant, provider))
        found = {} if held is None else {ref: held[ref] for ref in refs if ref in held}
        if len(found) < len(refs):
            seen = self._seen
            loaded = await self._load(tenant, provider, refs.difference(found))
            if seen == self._seen:
                self._hold(tenant, provider, loaded)
            found.update(loaded)
        return found

    async def _check(self) -> None:
        checked = self._clock()
        generation = await self._generation()
        if generation != self._seen:
            self._drop()
            self._seen = generation
        self._checked = checked

    def _hold(self, tenant: str, provider: str, loaded: dict[Ref, str]) -> None:
        self._count += len(loaded)
        if self._count > MOST:
            self._drop()
            self._count = len(loaded)
        if len(loaded) <= MOST:
            self._held.setdefault((tenant, provider), {}).update(loaded)

    def _drop(self) -> None:
        self._held, self._count = {}, 0
