"""Runs stored deliveries again, by the provider file and the mappings of now or of then.

A replay is marked as one: it is not refused as a duplicate of its own earlier attempts, and commands that
they wrote are not written again. A quarantined request is verified again, as of when it came.

"As then" is by the provider file, with its connection's overrides, by which the delivery was first interpreted, and by
the mappings that held at that time. An id that had none then and is to be created is taken as it stands now.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.auth_failures import KeyNeeded
from engine.failures import Failure, Unauthorized
from engine.messages import Connection, Request
from flows.attempts import Attempt, Attempts, Concluded
from flows.certificates import Certificates, CertificateUnavailable
from flows.connections import Directory, candidates, verified
from flows.journal import Journal
from flows.overrides import effective
from flows.providers import EngineName, LoadedProvider
from flows.sealing import opened
from flows.then import NotKept, of_then
from stores import imports
from stores.deliveries import StoredDelivery
from stores.payloads import PayloadLost


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to. `verdict` "" where it could not be run; `failures` then says why."""

    delivery: str
    verdict: str
    commands: int
    failures: tuple[Failure, ...]


class _TakenElsewhere(Exception):
    """A quarantined request is another process's, or another connection's, by now."""


class Replay:
    """Replays deliveries for an operator."""

    def __init__(
        self,
        providers: Mapping[str, LoadedProvider],
        directory: Directory,
        journal: Journal,
        attempts: Attempts,
        certificates: Certificates | None = None,
    ) -> None:
        self._providers, self._directory = providers, directory
        self._journal, self._attempts = journal, attempts
        self._certificates = certificates or Certificates()

    async def run(self, deliveries: Iterable[str], *, as_then: bool = False) -> AsyncIterator[Replayed]:
        """Replays each delivery in turn and tells what it came to. Raises StoreUnavailable."""
        for delivery in deliveries:
            yield await self.one(delivery, as_then=as_then)

    async def accept(self, delivery: str) -> Replayed:
        """Runs a delivery that waits at a snapshot's guard: it retires what is absent by now."""
        return await self.one(delivery, accepted=True)

    async def verifies(self, delivery: str) -> tuple[str, Failure | None]:
        """The connection for which a quarantined request verifies by now, else "" and why it does not.

        Nothing is changed.
        """
        stored = await self._journal.stored(delivery)
        loaded = self._providers.get(stored.provider) if stored is not None else None
        if stored is None or loaded is None or stored.feed not in loaded.interpreter.feeds:
            return "", _not_run(delivery, "feed_missing", "No loaded provider file has its feed.").failures[0]
        try:
            request = opened(await self._journal.whole(stored), self._journal.unseal)
            return (await self._verifying(stored, loaded, request)).id, None
        except PayloadLost as lost:
            return "", _not_run(delivery, lost.code, str(lost)).failures[0]
        except Unauthorized as refusal:
            return "", refusal.failure

    async def one(self, delivery: str, *, accepted: bool = False, wanted: str = "", as_then: bool = False) -> Replayed:
        """`wanted` is the only connection that a quarantined request may verify for; "" for any."""
        stored = await self._journal.stored(delivery)
        if stored is None:
            return _not_run(delivery, "delivery_unknown", "There is no such delivery.")
        if stored.method == imports.METHOD or await self._journal.read(lambda t: imports.get(t, delivery) is not None):
            # What it holds is a note about rows; they stand in the file.
            return _not_run(delivery, "part_of_a_file", "It is part of an imported file.", "Send the file again.")
        loaded = self._providers.get(stored.provider)
        as_of: datetime | None = None
        if as_then:
            try:
                loaded, as_of = await of_then(self._journal, stored, self._engine())
            except NotKept as gone:
                return _not_run(delivery, gone.code, str(gone), "Replay it as now.")
        if loaded is None or stored.feed not in loaded.interpreter.feeds:
            return _not_run(delivery, "feed_missing", "No loaded provider file has its feed.")
        try:
            request = opened(await self._journal.whole(stored), self._journal.unseal)
        except PayloadLost as lost:
            return _not_run(delivery, lost.code, str(lost))
        try:
            connection = await self._connection(stored, loaded, request, wanted)
        except Unauthorized as refusal:
            return Replayed(delivery, "unauthorized", 0, (refusal.failure,))
        except _TakenElsewhere:
            return _not_run(delivery, "taken_elsewhere", "Another process runs it at this moment.")
        if connection is None:
            return _not_run(delivery, "connection_missing", "Its connection is gone.")
        obstacle = None
        if not as_then:
            loaded, obstacle = await effective(self._journal, loaded, connection)
        number = await self._journal.next_attempt(delivery)
        attempt = Attempt(
            delivery, number, loaded, stored.feed, connection, request, True, obstacle=obstacle, accepted=accepted,
            as_of=as_of,
        )  # fmt: skip
        return await self._attempts.run(attempt, lambda concluded: _replayed(delivery, concluded))

    def _engine(self) -> EngineName:
        return next((one.origin.engine for one in self._providers.values() if one.origin is not None), "jlens")

    async def _connection(
        self, stored: StoredDelivery, loaded: LoadedProvider, request: Request, wanted: str
    ) -> Connection | None:
        """Raises Unauthorized where a quarantined request still does not verify, and _TakenElsewhere."""
        if not stored.quarantined:
            return await self._journal.connection(stored.connection)
        connection = await self._verifying(stored, loaded, request)
        if wanted not in ("", connection.id) or not await self._journal.released(stored.id, connection):
            raise _TakenElsewhere
        return connection

    async def _verifying(self, stored: StoredDelivery, loaded: LoadedProvider, request: Request) -> Connection:
        """The connection that a quarantined request verifies for, as of when it came. Raises Unauthorized."""
        current = await self._directory.current()
        found = candidates(current, loaded.interpreter, stored.feed, request, stored.connection)
        return await self._verified(loaded, stored.feed, found, request)

    async def _verified(
        self, loaded: LoadedProvider, feed: str, found: tuple[Connection, ...], request: Request
    ) -> Connection:
        """As `verified`, with a certificate fetched where one is wanted."""
        try:
            return verified(loaded.interpreter, feed, found, request, self._certificates.held)
        except KeyNeeded as needed:
            try:
                await self._certificates.fetch(needed.url)
            except CertificateUnavailable:
                raise needed from None
        return verified(loaded.interpreter, feed, found, request, self._certificates.held)


def _replayed(delivery: str, concluded: Concluded) -> Replayed:
    return Replayed(delivery, concluded.verdict, concluded.commands, concluded.outcome.failures)


def _not_run(
    delivery: str, code: str, message: str, next_step: str = "Correct the id, or bring back what is missing."
) -> Replayed:
    failure = Failure("processing", code, message, next_step)
    return Replayed(delivery, "", 0, (failure,))
