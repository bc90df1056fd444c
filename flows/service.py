"""Assembles database, writer, bus, relay and providers into one running service."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import schemas
from flows import tracing
from flows.admin_keys import AdminKeys
from flows.admission import Gate
from flows.alerting.watch import Watch, poster_for
from flows.answering import Answering
from flows.attempts import Attempts
from flows.certificates import Certificates
from flows.connections import Directory
from flows.consume.health import ConsumerHealth
from flows.consume.running import Options
from flows.folder import FolderLock
from flows.importing.jobs import Importer
from flows.importing.sources import EXPANDED_TIMES
from flows.importing.spool import Spool
from flows.journal import Journal, StoreUnavailable, database_url, secret_box
from flows.limits import Limits
from flows.logging import logger
from flows.metrics import Metrics
from flows.observing.observer import Observer
from flows.project import ProjectionHealth
from flows.promoting import Revisions
from flows.providers import LoadedProvider, load_providers, load_text
from flows.receive import Receiver
from flows.recover import Recovery
from flows.refreshing.running import Refreshing
from flows.reloading import Reloading, Swap
from flows.replay import Replay
from flows.retention import Retention
from flows.sampling import Sampling
from flows.settings import Settings
from flows.shared_limits import SharedLimits
from flows.shares import Shares
from flows.traced_metrics import TracedMetrics
from flows.view_reading import ViewReading
from flows.writer_client import WriterClient
from flows.writer_process import Start, WriterHere

if TYPE_CHECKING:
    from engine.search_terms import Question
    from flows.searching import Searching
    from stores.search.index import Hit

_log = logger("tiffin.service")
_PATIENCE_SECONDS = 1.0
_COUNT_SECONDS = 5.0


def _now() -> datetime:
    return datetime.now(UTC)


class Service:
    """Everything that runs in one process, from `start` to `stop`.

    With `serving` it owns the data folder, relays to the bus and recovers what was left in flight. Without,
    it only runs attempts, beside a serving process: for replays from the command line. `apart` has a process of
    its own write and relay, so that both processors are of use. A `patient` one waits for a database that is away
    when it starts.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        serving: bool = True,
        apart: bool = False,
        patient: bool = False,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self.settings, self._serving, self._apart, self._clock = settings, serving, apart, clock
        self._patient = patient
        self.metrics = TracedMetrics() if settings.traces else Metrics()
        self.gate = Gate(settings.body_bytes)
        self.limits = Limits(settings.rate_connection, settings.rate_address, settings.rate_burst)
        self._shared: SharedLimits | None = None
        self._searching: Searching | None = None
        self.owner = secrets.token_hex(8)
        self.admin_keys = AdminKeys(
            settings.admin_key, lambda job: self.journal.read(job), lambda job: self.journal.write(job), clock
        )
        self.providers: dict[str, LoadedProvider] = {}
        self.writer: WriterHere | WriterClient | None = None
        self._lock: FolderLock | None = None
        self._background: list[asyncio.Task[None]] = []
        self._importing: asyncio.Task[None] | None = None
        self.not_started: Exception | None = None

    async def start(self) -> None:
        """Raises ProviderFileError, FolderInUse, WriterNotStarted and StoreUnavailable; nothing is left open then."""
        try:
            await self._start_patiently()
        except BaseException as error:
            self.not_started = error if isinstance(error, Exception) else None
            await self.stop()
            raise

    async def _start_patiently(self) -> None:
        while True:
            try:
                return await self._start()
            except StoreUnavailable:
                if not self._patient:
                    raise
                _log.warning("store_unavailable", retry_in=_PATIENCE_SECONDS)
                await self.stop()
                await asyncio.sleep(_PATIENCE_SECONDS)

    async def _start(self) -> None:
        settings = self.settings
        tracing.start(settings.traces)
        self._files = self._load()
        if settings.embedded and self._serving:
            self._lock = await asyncio.to_thread(FolderLock, settings.data)
        elif not settings.kafka_bootstrap:
            # The embedded log lives there, whatever the database.
            settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        box = secret_box(settings)
        self.writer = self._writer() if self._serving else None
        self.journal = Journal(settings, self.owner, self._clock, box, self.writer)
        self._objects = Answering(self.journal.objects.ping) if settings.object_store_url else None
        await self.journal.start(self._files.values())
        self.revisions = self._revisions()
        await self.revisions.look(strict=True)
        self.providers = self.revisions.serving(self._files, {})
        promoted = [name for name, one in self.providers.items() if one is not self._files[name]]
        if promoted and self._serving:
            _log.info("promoted_revisions_serve", providers=promoted)
        self.views = ViewReading(self.journal, settings.redis_url.get_secret_value())
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
        certificates = Certificates()
        self.receiver = Receiver(
            self.providers,
            self.directory,
            self.journal,
            self.attempts,
            self.metrics,
            self.gate,
            public_url=settings.public_url,
            max_body=settings.max_body,
            limits=self.limits,
            shares=Shares(settings.queue_rows, settings.connection_share),
            certificates=certificates,
        )
        self.recovery = Recovery(self.providers, self.directory, self.journal, self.attempts, self.metrics, self._clock)
        self.replay = Replay(self.providers, self.directory, self.journal, self.attempts, certificates)
        self.importer = Importer(
            Spool(settings.data, EXPANDED_TIMES * settings.import_bytes),
            self.providers,
            self.journal,
            self.metrics,
            self._clock,
            owner=self.owner,
            lease=settings.lease,
            most_failures=settings.import_failures,
            one_host=settings.embedded,
        )
        if self._serving:
            self._serve()

    def _load(self) -> Mapping[str, LoadedProvider]:
        return load_providers(self.settings.providers, schemas.canon(), self.settings.jsonata)

    def _revisions(self) -> Revisions:
        log: Any = logger("tiffin.providers")
        made = partial(load_text, canon=schemas.canon(), engine=self.settings.jsonata)
        return Revisions(self.journal.read, self.journal.write, made, self._clock, log)

    def _swap(self, swap: Swap) -> None:
        """In one step of the event loop: no request sees one file of the new ones and one of the old."""
        self.receiver.reloaded(swap.changed)
        self.providers.update(swap.changed)
        for name in swap.gone:
            del self.providers[name]

    def _writer(self) -> WriterHere | WriterClient:
        settings = self.settings
        start = Start(
            database_url(settings),
            settings.kafka_bootstrap,
            settings.data.absolute(),
            "embedded" if settings.embedded else self.owner,
            settings.log_level,
            settings.kafka_settings,
            Options(settings.redis_url.get_secret_value(), settings.consume, settings.search_url.get_secret_value()),
        )
        if not self._apart:
            return WriterHere(start, max_rows=settings.queue_rows, max_bytes=settings.queue_bytes)
        keep = () if self._lock is None else (self._lock.file,)
        return WriterClient(start, max_rows=settings.queue_rows, max_bytes=settings.queue_bytes, keep=keep)

    def _serve(self) -> None:
        self.metrics.watch("queue_rows", lambda: self.journal.depth[0])
        self.metrics.watch("queue_bytes", lambda: self.journal.depth[1])
        self.metrics.watch("body_bytes", lambda: self.gate.held)
        sampling = Sampling(self.journal.read, self._clock)
        self.metrics.watch("outbox_age_seconds", lambda: sampling.age)
        self.metrics.watch("outbox_rows", lambda: sampling.waiting.rows)
        self.metrics.watch("outbox_commands", lambda: sampling.waiting.commands)
        self.metrics.watch("outbox_parked_rows", lambda: sampling.waiting.parked)
        self.metrics.watch("ledger_difference", lambda: sampling.difference)
        if (writer := self.writer) is not None:
            self.metrics.watch("views_behind", lambda: writer.projection.behind)
            self.metrics.watch(
                "views_backing_off", lambda: float(writer.projection.state in ("backing_off", "stopped"))
            )
            self.metrics.watch("views_events", lambda: writer.projection.events)
            self.metrics.watch_each("views_commands", lambda: writer.projection.results)
            self.metrics.watch_each("consumer_behind", lambda: _each(writer, lambda one: one.behind))
            self.metrics.watch_each("consumer_backing_off", lambda: _each(writer, lambda one: one.backing_off))
            self.metrics.watch_each("consumer_done", lambda: _each(writer, lambda one: one.done))
        refreshing = Refreshing(
            self.settings, self.owner, self.providers, self.directory, self.journal, self.receiver, self._clock
        )
        self.metrics.watch("fetch_behind", lambda: refreshing.behind)
        self.metrics.watch_each("fetches", lambda: refreshing.results)
        self.metrics.watch_each("view_reads", lambda: dict(self.views.counts))
        loop = asyncio.get_running_loop()
        retention = Retention(
            self.journal.write,
            self._clock,
            deliveries_days=self.settings.keep_deliveries,
            published_days=self.settings.keep_published,
            quarantine_days=self.settings.quarantine_days,
        )
        self._background = [
            loop.create_task(self._recover_left()),
            loop.create_task(self.recovery.run(self.settings.lease / 3)),
            loop.create_task(retention.run()),
            loop.create_task(sampling.run()),
            loop.create_task(self._count_questions()),
            loop.create_task(self.importer.keep_tidy(self.settings.keep_imports)),
            loop.create_task(self._watch().run()),
        ]
        if self.settings.fetch:
            self._background.append(loop.create_task(refreshing.run()))
        self._importing = loop.create_task(self.importer.run())
        self._background.append(loop.create_task(self._observer().run()))
        if self.settings.reload:
            self._background.append(loop.create_task(self._reloading().run(self.settings.reload)))
        if url := self.settings.redis_url.get_secret_value():
            # Imported here because the client's memory is of no use to a set-up without Redis.
            from stores.shared_buckets import SharedBuckets

            log: Any = logger("tiffin.limits")
            self._shared = SharedLimits(self.limits, SharedBuckets(url), log)
            self._background.append(loop.create_task(self._shared.run()))

    def _watch(self) -> Watch:
        settings = self.settings
        poster = poster_for(settings.alert_networks)
        return Watch(self.journal, self.owner, self._clock, settings.public_url, poster)

    def _reloading(self) -> Reloading:
        log: Any = logger("tiffin.providers")
        return Reloading(
            self.settings.providers,
            load=self._load,
            files=self._files,
            revisions=self.revisions,
            current=lambda: self.providers,
            keep=self.journal.keep_spec,
            swap=self._swap,
            told=self.metrics.reloaded,
            log=log,
        )

    def _observer(self) -> Observer:
        log: Any = logger("tiffin.observer")
        return Observer(self.settings, self.journal, self.metrics, lambda: self.providers, self._clock, self.owner, log)

    async def _count_questions(self) -> None:
        """Adds questions to the ledger's counters, a few seconds late: none of them waits for a commit."""
        while True:
            await asyncio.sleep(_COUNT_SECONDS)
            await self._note_questions()

    async def _note_questions(self) -> None:
        count, self.receiver.questions = self.receiver.questions, 0
        try:
            if count:
                await self.journal.count({"questions": count})
        except Exception:
            self.receiver.questions += count
            _log.warning("questions_not_counted", count=count)

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
        if self._importing is not None:
            # The chunk in hand is written; the job goes on with the next start.
            self.importer.stop()
            await asyncio.gather(self._importing, return_exceptions=True)
            self._importing = None
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._background = []
        if self._shared is not None:
            await self._shared.close()
            self._shared = None
        if hasattr(self, "receiver"):
            await self.receiver.drained()
            if self._serving and self.not_started is None:
                await self._note_questions()
        if hasattr(self, "attempts"):
            self.attempts.close()
        if hasattr(self, "importer"):
            self.importer.close()
        if hasattr(self, "views"):
            self.views.close()
        if self._searching is not None:
            self._searching.close()
            self._searching = None
        if hasattr(self, "journal"):
            await self.journal.stop()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self.settings.traces:
            await asyncio.to_thread(tracing.stop)

    @property
    def searches(self) -> bool:
        """Whether an index is kept that can be searched."""
        return "search" in self.settings.consume

    async def search(self, question: Question) -> list[Hit]:
        """See flows.searching."""
        # Imported here because a server that nobody searches has no use for it.
        from flows.consume.reindex import Where
        from flows.searching import Searching

        if self._searching is None:
            settings = self.settings
            where = Where(settings.search_url.get_secret_value(), settings.embedded, settings.data)
            self._searching = Searching(where, self.journal)
        return await self._searching.search(question)

    async def dependencies(self) -> dict[str, str]:
        """`ok`, or a few words on what is wrong, for the database, the bus, the views and what else is set up."""
        found = {"database": "ok", "bus": "ok"}
        try:
            await self.journal.ping()
        except StoreUnavailable:
            found["database"] = "away"
        if self.writer is not None:
            found["views"] = _said(self.writer.projection)
            if self.writer.health.state in ("backing_off", "stopped"):
                found["bus"] = "away: commands wait in the outbox"
        if self._shared is not None:
            there = await self._shared.answers()
            found["redis"] = "ok" if there else "away: each process counts its limits for itself"
        if self._objects is not None:
            there = await self._objects.answers()
            found["objects"] = (
                "ok" if there else "away: large bodies stay in the database, and what was archived cannot be read"
            )
        return found

    async def connection_counts(self) -> dict[str, int]:
        """The number of enabled connections by provider."""
        current = await self.directory.current()
        return Counter(connection.provider for connection in current.by_id.values())

    async def state_counts(self) -> dict[str, int]:
        """The number of deliveries by state."""
        return await self.journal.state_counts()


def _each(writer: WriterHere | WriterClient, of: Callable[[ConsumerHealth], float]) -> dict[str, float]:
    return {name: of(health) for name, health in writer.consumers.by_name.items()}


def _said(projection: ProjectionHealth) -> str:
    """A few words on the projection."""
    if projection.state in ("backing_off", "stopped"):
        return "away: commands wait on the bus"
    return f"{projection.behind} commands behind" if projection.behind else "ok"
