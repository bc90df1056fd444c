"""What the flows write to the store and read from it, on the event loop.

Writes go through the group writer and return once they are committed. On SQLite the two reads of every
webhook run where they are asked, since they take microseconds; all others run in threads.

    StoreUnavailable   the database is away: nothing is known to be written
    QueueFull          more waits for a commit than is allowed
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import orjson
from sqlalchemy import Connection as Transaction

from engine.failures import Failure
from engine.messages import Connection, IdempotencyKey, Ref
from flows.large_bodies import LargeBodies
from flows.mapping_cache import MappingCache
from flows.providers import LoadedProvider
from flows.settings import Settings
from stores import claims, connections, counters, deliveries, ledger, mappings, payloads, specs
from stores.claims import Standing
from stores.database import Database, open_database
from stores.deliveries import InFlight, StoredDelivery
from stores.hot_reads import HotReads
from stores.objects import Objects, ObjectsAway, ObjectStoreOptions
from stores.records import Committed, Conclusion, RawDelivery
from stores.schema_version import bring_up_to_date, require_up_to_date
from stores.secrets import SecretBox, SecretKeyError, key_from_file, older_key_file, parse_key, parse_keys
from stores.tables import micros
from stores.writer import GroupWriter, Work

if TYPE_CHECKING:
    from stores.group_reads import GroupReads

T = TypeVar("T")
_AWAY = frozenset({"OperationalError", "InterfaceError", "PoolTimeout", "TimeoutError", "WriterLost"})


MOST_KEPT = 10_000
"""So many hashes of stored provider files are remembered, so that they are not stored again for each delivery."""
FEW = 500
"""Up to so many external ids are looked up on the event loop."""


class StoreUnavailable(Exception):
    """The database is away."""


class QueueFull(Exception):
    """More waits for a commit than TIFFIN_QUEUE_ROWS or TIFFIN_QUEUE_BYTES allow."""


class _Reported:
    """Turns what drivers raise when the database is away into StoreUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if kind is not None and any(one.__name__ in _AWAY for one in kind.__mro__):
            raise StoreUnavailable from error


_reported = _Reported()


def database_url(settings: Settings) -> str:
    """The configured URL, or that of the SQLite file in the data folder."""
    return settings.database_url or f"sqlite:///{settings.data.absolute() / 'tiffin.db'}"


def secret_box(settings: Settings) -> SecretBox:
    """The box that seals secrets at rest. Raises SecretKeyError where a server database has no key set."""
    text, old = settings.secret_key.get_secret_value(), settings.secret_key_old.get_secret_value()
    if text:
        return SecretBox(parse_key(text), *parse_keys(old))
    if not settings.embedded:
        raise SecretKeyError("TIFFIN_SECRET_KEY is not set; a server database needs one (32 bytes in base64)")
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = key_file(settings)
    before = older_key_file(file)
    standing = parse_keys(before.read_text()) if before.exists() else ()
    return SecretBox(key_from_file(file), *standing, *parse_keys(old))


def key_file(settings: Settings) -> Path:
    """Where the embedded set-up keeps its key, if no setting has it."""
    return settings.data / "secret.key"


def objects_of(settings: Settings) -> Objects:
    """The object store; nothing is opened before it is used."""
    return Objects(object_options(settings))


def object_options(settings: Settings) -> ObjectStoreOptions:
    """Where objects go."""
    return ObjectStoreOptions(
        settings.object_store_url,
        settings.data / "objects",
        settings.object_store_endpoint,
        settings.object_store_region,
        settings.object_store_access_key.get_secret_value(),
        settings.object_store_secret_key.get_secret_value(),
    )


class Writer(Protocol):
    """What writes for a journal: a group writer, or its client in another process."""

    @property
    def depth(self) -> tuple[int, int]: ...
    def has_room(self, size: int) -> bool: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def received(self, raw: RawDelivery, *, owner: str, lease_seconds: float) -> None: ...
    async def concluded(self, conclusion: Conclusion) -> Committed: ...
    async def run(self, job: Callable[[Transaction], T]) -> T: ...


class Journal:
    """The store as one process's flows see it. `owner` is the process's name on leases."""

    def __init__(
        self,
        settings: Settings,
        owner: str,
        clock: Callable[[], datetime],
        box: SecretBox,
        writer: Writer | None = None,
    ) -> None:
        """`writer` None: a thread of this process writes."""
        self._settings, self._owner, self._clock = settings, owner, clock
        self._box = box
        self.seal, self.unseal = self._box.seal, self._box.unseal
        self._database: Database = open_database(database_url(settings), pool=settings.database_pool)
        self._writer: Writer = writer or GroupWriter(
            self._database, max_rows=settings.queue_rows, max_bytes=settings.queue_bytes
        )
        self.objects = objects_of(settings)
        self._large = LargeBodies(self.objects, settings.object_body, clock)
        self._started = False
        self._hot: HotReads | GroupReads | None = None
        self._working: set[str] = set()
        self._kept: set[str] = set()
        # Canonical ids of external ids, as far as they are mapped.
        self.resolve = MappingCache(self.mapping_generation, self.load_mappings).resolve

    async def start(self, providers: Iterable[LoadedProvider]) -> None:
        """Brings the embedded database up to date and notes the provider files.

        Raises StoreUnavailable, and SchemaNotMigrated where a server's database is not up to date.
        """
        with _reported:
            if self._database.embedded:
                await asyncio.to_thread(bring_up_to_date, self._database)
                self._hot = HotReads(self._database)
            else:
                await asyncio.to_thread(require_up_to_date, self._database)
                self._hot = _group_reads(self._database)
        await self._writer.open()
        self._started = True
        files = [
            (file.spec_hash, file.interpreter.provider.provider, file.interpreter.provider.revision, file.text)
            for file in providers
        ]
        await self.write(Work(specs.save_all, files, self._clock()))

    async def keep_spec(self, loaded: LoadedProvider) -> None:
        """Keeps the text of a provider with a connection's overrides. Raises StoreUnavailable."""
        if loaded.spec_hash in self._kept:
            return
        provider = loaded.interpreter.provider
        files = [(loaded.spec_hash, provider.provider, provider.revision, loaded.text)]
        await self.write(Work(specs.save_all, files, self._clock()))
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept.add(loaded.spec_hash)

    async def stop(self) -> None:
        """Writes what waits and closes. May be called twice."""
        if self._started:
            self._started = False
            await self._writer.close()
        if self._hot is not None:
            await self._hot.close()
            self._hot = None
        self._database.close()

    # ---- writing ----

    @property
    def depth(self) -> tuple[int, int]:
        """Entries that wait for a commit, and their bytes."""
        return self._writer.depth

    def has_room(self, size: int) -> bool:
        return self._writer.has_room(size)

    async def write(self, job: Callable[[Transaction], T]) -> T:
        with _reported:
            return await self._writer.run(job)

    async def received(self, raw: RawDelivery) -> None:
        """Makes a delivery durable; this process works on it until `left`. Raises QueueFull."""
        if not self._writer.has_room(len(raw.body)):
            raise QueueFull
        self._working.add(raw.id)
        try:
            if self._large.is_large(raw):
                raw = await self._large.stored(raw)
            with _reported:
                await self._writer.received(raw, owner=self._owner, lease_seconds=self._settings.lease)
        except BaseException:
            self._working.discard(raw.id)
            raise

    def left(self, delivery: str) -> None:
        """Says that this process no longer works on a delivery."""
        self._working.discard(delivery)

    async def concluded(self, conclusion: Conclusion) -> Committed:
        with _reported:
            return await self._writer.concluded(conclusion)

    async def quarantined(self, raw: RawDelivery, failure: Failure) -> int:
        """Keeps a request that did not verify; returns how many older ones were evicted. Raises QueueFull."""
        if not self._writer.has_room(len(raw.body)):
            raise QueueFull
        most, most_bytes = self._settings.quarantine, self._settings.quarantine_bytes
        owner = {name: getattr(raw, name) for name in ("tenant", "provider", "connection", "feed")}

        return await self.write(Work(deliveries.keep_quarantined, raw, failure, owner, most, most_bytes))

    async def released(self, delivery: str, connection: Connection) -> bool:
        """Takes a request that verifies by now out of quarantine; this process works on it until it is concluded.

        False: another has taken it.
        """
        owner = {"tenant": connection.tenant, "connection": connection.id}
        until = self._clock() + timedelta(seconds=self._settings.lease)

        return await self.write(Work(deliveries.release_from_quarantine, delivery, owner, self._owner, until))

    async def take_over(self, limit: int, *, everything: bool) -> list[InFlight]:
        """Deliveries that nobody works on any more, now this process's own."""
        now = self._clock()
        until = now + timedelta(seconds=self._settings.lease)
        taken: list[InFlight] = await self.write(
            Work(deliveries.take_over, self._owner, now, until, limit, everything=everything)
        )
        self._working.update(one.delivery for one in taken)
        return taken

    async def renew(self) -> None:
        """Prolongs the leases of what this process works on."""
        ids = sorted(self._working)
        until = self._clock() + timedelta(seconds=self._settings.lease)
        if ids:
            await self.write(Work(deliveries.renew, self._owner, until, ids))

    async def count(self, counts: Mapping[str, int]) -> None:
        """Adds to the counters of what is no delivery."""

        await self.write(Work(counters.add_all, dict(counts)))

    # ---- reading ----

    def read_in_thread(self, job: Callable[[Transaction], T]) -> T:
        """Runs a read on a connection of its own, blocking this thread."""
        with self._database.engine.connect() as connection:
            return job(connection)

    def connected(self) -> AbstractContextManager[Transaction]:
        """A connection of its own, for reading in a thread."""
        return self._database.engine.connect()

    async def read(self, job: Callable[[Transaction], T]) -> T:
        with _reported:
            return await asyncio.to_thread(self.read_in_thread, job)

    async def standing(self, tenant: str, provider: str, key: IdempotencyKey, at: datetime) -> Standing | None:
        """Who holds an idempotency key; None when it is free."""
        if self._hot is not None:
            with _reported:
                return await self._hot.standing(tenant, provider, key, micros(at))
        return await self.read(lambda transaction: claims.standing(transaction, tenant, provider, key, at))

    async def mapping_generation(self) -> int:
        if self._hot is not None:
            with _reported:
                return await self._hot.mapping_generation()
        return await self.read(mappings.generation)

    async def load_mappings(self, tenant: str, provider: str, refs: frozenset[Ref]) -> dict[Ref, str]:
        if self._hot is not None and len(refs) <= FEW:
            with _reported:
                return await self._hot.resolve(tenant, provider, refs)
        return await self.read(lambda transaction: mappings.resolve(transaction, tenant, provider, refs))

    async def resolve_as_of(self, tenant: str, provider: str, refs: frozenset[Ref], as_of: datetime) -> dict[Ref, str]:
        """The canonical ids that external ids had then."""
        return await self.read(lambda transaction: mappings.resolve(transaction, tenant, provider, refs, as_of))

    async def connections_marker(self) -> Hashable:
        return await self.read(connections.marker)

    async def connections(self) -> list[Connection]:
        now = self._clock()
        return await self.read(lambda transaction: connections.enabled(transaction, self._box, now))

    async def connection(self, id: str) -> Connection | None:
        """One connection, also a disabled one."""
        now = self._clock()
        return await self.read(lambda transaction: connections.get(transaction, id, self._box, now))

    async def stored(self, delivery: str) -> StoredDelivery | None:
        """A delivery's row: see `whole` for its payload."""
        return await self.read(lambda transaction: deliveries.get(transaction, delivery))

    async def whole(self, stored: StoredDelivery) -> StoredDelivery:
        """The delivery with its payload, wherever that stands. Raises PayloadLost and StoreUnavailable."""
        if not stored.place:
            return stored
        try:
            return await self._whole(stored)
        except payloads.PayloadMissing:
            # The archive may just have taken it elsewhere.
            moved = await self.stored(stored.id)
            return await self._whole(moved or stored)

    async def _whole(self, stored: StoredDelivery) -> StoredDelivery:
        try:
            return await self.read(lambda transaction: payloads.whole(transaction, self._large.objects, stored))
        except ObjectsAway as error:
            raise StoreUnavailable from error

    async def next_attempt(self, delivery: str) -> int:
        return await self.read(lambda transaction: deliveries.next_attempt(transaction, delivery))

    async def receipt(self, delivery: str) -> dict[str, Any] | None:
        """What a delivery came to, as its receipt shows it; None where there is none."""
        return await self.read(lambda transaction: _receipt(transaction, delivery))

    async def state_counts(self) -> dict[str, int]:
        """The number of deliveries by state."""
        return await self.read(lambda transaction: dict(ledger.ledger(transaction).states))

    async def ping(self) -> None:
        await self.read(lambda transaction: transaction.exec_driver_sql("SELECT 1"))


def _group_reads(database: Database) -> GroupReads:
    # Imported here because the driver is of no use to the embedded set-up.
    from stores.group_reads import GroupReads

    return GroupReads(database.url)


def _receipt(transaction: Transaction, delivery: str) -> dict[str, Any] | None:
    stored = deliveries.get(transaction, delivery)
    if stored is None:
        return None
    found: dict[str, Any] = {"id": delivery, "received_at": stored.received_at.isoformat()}
    attempts = deliveries.outcomes_of(transaction, delivery)
    if not attempts:
        return {**found, "state": "in_flight", "attempt": 0, "commands": 0, "results": []}
    last = attempts[0]
    found.update(
        state=last.state,
        concluded_at=last.at.isoformat(),
        attempt=last.attempt,
        commands=sum(attempt.commands for attempt in attempts),
        results=orjson.loads(last.results),
    )
    return {**found, "duplicate_of": last.holder} if last.holder else found
