"""Begins to fetch once there is something to fetch. Imports little: an idle server pays for no HTTP client."""

from __future__ import annotations

import asyncio
import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.fetching import fetch_rules
from flows.connections import Directory
from flows.journal import Journal, StoreUnavailable
from flows.logging import logger
from flows.providers import LoadedProvider
from flows.receive import Receiver
from flows.settings import Settings

if TYPE_CHECKING:
    from flows.refreshing.fetcher import Fetcher
    from flows.refreshing.follower import Follower

GROUP = "tiffin-fetch"
NAME = "fetch"
_LOOK_SECONDS = 1.0

_log = logger("tiffin.fetch")


class Refreshing:
    """The fetching of one process, from when a connection has a provider that fetches."""

    def __init__(
        self,
        settings: Settings,
        owner: str,
        providers: dict[str, LoadedProvider],
        directory: Directory,
        journal: Journal,
        receiver: Receiver,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings, self._owner, self._providers = settings, owner, providers
        self._directory, self._journal, self._receiver, self._clock = directory, journal, receiver, clock
        self._follower: Follower | None = None
        self._fetcher: Fetcher | None = None
        self._looked: dict[str, tuple[str, bool]] = {}

    @property
    def behind(self) -> int:
        """Commands that were not looked at."""
        return self._follower.behind if self._follower else 0

    @property
    def results(self) -> Mapping[str, int]:
        """Requests by what came of them."""
        return self._fetcher.results if self._fetcher else Counter()

    async def run(self) -> None:
        """Waits until something may have to be fetched, then fetches until it is cancelled."""
        while True:
            if await self._wanted():
                break
            await asyncio.sleep(_LOOK_SECONDS)
        # In a thread: the client and TLS take a while to import, and webhooks go on meanwhile.
        await asyncio.to_thread(importlib.import_module, "flows.refreshing.fetcher")
        follower, fetcher = self.made()
        self._follower, self._fetcher = follower, fetcher
        _log.info("fetching")
        async with asyncio.TaskGroup() as group:
            group.create_task(follower.run())
            group.create_task(self._fetch(fetcher))

    async def _fetch(self, fetcher: Fetcher) -> None:
        from stores import fetch_jobs
        from stores.writer import Work

        if self._settings.embedded:
            # The folder's lock says that whoever held these leases has ended.
            while True:
                try:
                    await self._journal.write(Work(fetch_jobs.release))
                    break
                except StoreUnavailable:
                    await asyncio.sleep(_LOOK_SECONDS)
        await fetcher.run()

    async def _wanted(self) -> bool:
        fetching = [name for name, loaded in list(self._providers.items()) if self._fetches(name, loaded)]
        if not fetching:
            return False
        try:
            current = await self._directory.current()
        except Exception as error:
            _log.debug("connections_unknown", reason=type(error).__name__)
            return False
        return any(current.by_provider.get(name) for name in fetching)

    def _fetches(self, name: str, loaded: LoadedProvider) -> bool:
        known = self._looked.get(name)
        if known is None or known[0] != loaded.spec_hash:
            known = self._looked[name] = (loaded.spec_hash, bool(fetch_rules(loaded.interpreter.provider)))
        return known[1]

    def made(self) -> tuple[Follower, Fetcher]:
        """What reads the bus, and what asks providers."""
        from functools import partial

        from bus.consumers import open_consumer
        from bus.topics import CATALOG_COMMANDS
        from flows.refreshing.fetcher import Fetcher
        from flows.refreshing.follower import Follower
        from flows.refreshing.pages import Pages
        from flows.refreshing.wanted import Rules, Wanted
        from stores import fetch_jobs

        settings = self._settings
        rules = Rules(self._providers)
        wanted = Wanted(rules, self._directory, self._journal, self._clock)
        opener: Any = partial(
            open_consumer,
            settings.kafka_bootstrap,
            settings.data.absolute(),
            CATALOG_COMMANDS,
            GROUP,
            kafka_settings=settings.kafka_settings,
        )
        fetcher = Fetcher(
            self._owner,
            rules,
            wanted,
            self._providers,
            self._directory,
            self._journal,
            self._receiver,
            Pages(settings.fetch_allow, settings.fetch_timeout, self._clock),
            self._clock,
            max_body=settings.max_body,
            lease=max(settings.lease, 3 * settings.fetch_timeout),
        )
        return Follower(NAME, opener, self._journal, wanted.commands, fetch_jobs.add), fetcher
