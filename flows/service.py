"""Assembles database, writer, bus, relay and providers into one running service."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import schemas
from bus import Bus, open_bus
from bus.topics import CATALOG_COMMANDS
from flows.admission import Gate
from flows.attempts import Attempts
from flows.connections import Directory
from flows.folder import FolderLock
from flows.journal import Journal, StoreUnavailable
from flows.logging import logger
from flows.metrics import Metrics
from flows.providers import LoadedProvider, load_providers
from flows.receive import Receiver
from flows.recover import Recovery
from flows.relay import Relay
from flows.replay import Replay
from flows.settings import Settings

_log = logger("tiffin.service")


def _now() -> datetime:
    return datetime.now(UTC)


class Service:
    """Everything that runs in one process, from `start` to `stop`.

    With `serving` it owns the data folder, relays to the bus and recovers what was left in flight. Without,
    it only runs attempts, beside a serving process: for replays from the command line.
    """

    def __init__(self, settings: Settings, *, serving: bool = True, clock: Callable[[], datetime] = _now) -> None:
        self.settings, self._serving, self._clock = settings, serving, clock
        self.metrics = Metrics()
        self.gate = Gate(settings.body_bytes)
        self.owner = secrets.token_hex(8)
        self.providers: Mapping[str, LoadedProvider] = {}
        self.bus: Bus | None = None
        self.relay: Relay | None = None
        self._lock: FolderLock | None = None
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Raises ProviderFileError, FolderInUse and StoreUnavailable; nothing is left open then."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        settings = self.settings
        self.providers = load_providers(settings.providers, schemas.canon(), settings.jsonata)
        if settings.embedded and self._serving:
            self._lock = FolderLock(settings.data)
        self.journal = Journal(settings, self.owner, self._clock)
        await self.journal.start(self.providers.values())
        self.directory = Directory(self.journal.connections_marker, self.journal.connections)
        self.attempts = Attempts(
            self.journal,
            self.journal.concluded,
            self.metrics,
            self._clock,
            large_body=settings.large_body,
            large_bytes=settings.max_body,
            always_in_threads=settings.jsonata != "jlens",
        )
        self.receiver = Receiver(
            self.providers,
            self.directory,
            self.journal,
            self.attempts,
            self.metrics,
            self.gate,
            public_url=settings.public_url,
            max_body=settings.max_body,
        )
        self.recovery = Recovery(self.providers, self.directory, self.journal, self.attempts, self.metrics, self._clock)
        self.replay = Replay(self.providers, self.directory, self.journal, self.attempts)
        if self._serving:
            await self._serve()

    async def _serve(self) -> None:
        settings = self.settings
        self.bus = await asyncio.to_thread(open_bus, settings.kafka_bootstrap, settings.data)
        log: Any = logger("tiffin.relay")
        self.relay = Relay(
            bus=self.bus,
            topic=CATALOG_COMMANDS,
            owner="embedded" if settings.embedded else self.owner,
            read=self.journal.read_in_thread,
            write=self.journal.write_from_thread,
            clock=self._clock,
            jitter=random.random,
            log=log,
        )
        self.journal.after_commit(self.relay.wake)
        self.relay.start()
        self.metrics.watch("queue_rows", "Rows waiting for a commit.", lambda: self.journal.depth[0])
        self.metrics.watch("queue_bytes", "Bytes waiting for a commit.", lambda: self.journal.depth[1])
        self.metrics.watch("body_bytes", "Bytes of request bodies held.", lambda: self.gate.held)
        loop = asyncio.get_running_loop()
        self._background = [
            loop.create_task(self._recover_left()),
            loop.create_task(self.recovery.run(settings.lease / 3)),
        ]

    async def _recover_left(self) -> None:
        try:
            # The folder's lock says that whoever held these leases has ended.
            count = await self.recovery.recover(everything=self.settings.embedded)
        except StoreUnavailable:
            _log.warning("store_unavailable")
        except Exception:
            _log.exception("recovery_failed")
        else:
            if count:
                _log.info("recovered", deliveries=count)

    async def stop(self) -> None:
        """Finishes what was begun, commits what waits and closes everything. May be called twice."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._background = []
        if hasattr(self, "receiver"):
            await self.receiver.drained()
        if self.relay is not None:
            await asyncio.to_thread(self.relay.stop, 10.0)
            self.relay = None
        if hasattr(self, "attempts"):
            self.attempts.close()
        if hasattr(self, "journal"):
            await self.journal.stop()
        if self.bus is not None:
            self.bus.close()
            self.bus = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def dependencies(self) -> dict[str, str]:
        """`ok`, or a few words on what is wrong, for the database and the bus."""
        found = {"database": "ok", "bus": "ok"}
        try:
            await self.journal.ping()
        except StoreUnavailable:
            found["database"] = "away"
        if self.relay is not None and self.relay.health.state == "backing_off":
            found["bus"] = "away: commands wait in the outbox"
        return found

    async def connection_counts(self) -> dict[str, int]:
        """The number of enabled connections by provider."""
        current = await self.directory.current()
        return Counter(connection.provider for connection in current.by_id.values())

    async def state_counts(self) -> dict[str, int]:
        """The number of deliveries by state."""
        return await self.journal.state_counts()
