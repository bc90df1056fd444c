"""Takes over deliveries that a process left in flight, and finishes them from their stored bytes.

A delivery that was taken up three times and never finished is parked: it is likely what kills the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import orjson

from engine.failures import Failure
from flows.attempts import Attempt, Attempts
from flows.connections import Directory
from flows.journal import Journal, StoreUnavailable
from flows.logging import logger
from flows.metrics import Metrics
from flows.overrides import effective
from flows.providers import LoadedProvider
from flows.receipts import item_results
from flows.sealing import opened
from stores.deliveries import InFlight, StoredDelivery
from stores.records import Conclusion

MOST_ATTEMPTS = 3
AT_ONCE = 64

_log = logger("tiffin.recover")


class Recovery:
    """Recovers deliveries for one process."""

    def __init__(
        self,
        providers: Mapping[str, LoadedProvider],
        directory: Directory,
        journal: Journal,
        attempts: Attempts,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._providers, self._directory, self._journal = providers, directory, journal
        self._attempts, self._metrics, self._clock = attempts, metrics, clock

    async def recover(self, *, everything: bool = False) -> int:
        """Finishes what has been left; returns how many deliveries. Raises StoreUnavailable.

        `everything` takes over leases that have not expired too: only where no other process can live.
        """
        count = 0
        while taken := await self._journal.take_over(AT_ONCE, everything=everything):
            # What fails here keeps this process's lease and comes again when that has expired.
            found = await asyncio.gather(*(self._finish(one) for one in taken), return_exceptions=True)
            for error in found:
                if isinstance(error, StoreUnavailable):
                    raise error
                if isinstance(error, BaseException):
                    _log.error("recovery_failed", exc_info=error)
            count += len(taken)
        return count

    async def run(self, interval: float) -> None:
        """Recovers again and again, `interval` seconds apart, and survives every outage of the store."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self._journal.renew()
                await self.recover()
            except StoreUnavailable:
                _log.warning("store_unavailable")
            except Exception:
                _log.exception("recovery_failed")

    async def _finish(self, taken: InFlight) -> None:
        try:
            await self._take_up(taken)
        finally:
            self._journal.left(taken.delivery)

    async def _take_up(self, taken: InFlight) -> None:
        stored = await self._journal.stored(taken.delivery)
        if stored is None:
            return
        _log.info("delivery_recovered", delivery=stored.id, attempt=taken.attempts)
        self._metrics.recovered()
        loaded = self._providers.get(stored.provider)
        connection = await self._journal.connection(stored.connection)
        failure = _obstacle(
            stored, taken, loaded is None or stored.feed not in loaded.interpreter.feeds, not connection
        )
        if failure is not None:
            await self._journal.concluded(parked(stored, taken.attempts, failure, self._clock()))
            return
        assert loaded is not None
        assert connection is not None
        request = opened(stored, self._journal.unseal)
        loaded, obstacle = await effective(self._journal, loaded, connection)
        attempt = Attempt(stored.id, taken.attempts, loaded, stored.feed, connection, request, obstacle=obstacle)
        await self._attempts.run(attempt, lambda _: None)


def _obstacle(stored: StoredDelivery, taken: InFlight, no_feed: bool, no_connection: bool) -> Failure | None:
    if taken.attempts > MOST_ATTEMPTS:
        return Failure(
            "processing",
            "crashed_repeatedly",
            f"The process ended {MOST_ATTEMPTS} times while it worked on this delivery.",
            "Look at the process's end in the logs of its host; replay the delivery once that is mended.",
        )
    if no_feed:
        return Failure(
            "processing",
            "feed_missing",
            f"No loaded provider file has the feed {stored.feed} of {stored.provider}.",
            "Bring the provider file back and replay the delivery.",
        )
    if no_connection:
        return Failure(
            "processing",
            "connection_missing",
            "The delivery's connection is gone.",
            "Add the connection again under the same id and replay the delivery.",
        )
    return None


def parked(stored: StoredDelivery, attempt: int, failure: Failure, at: datetime) -> Conclusion:
    """The conclusion that parks a delivery without interpreting it."""
    return Conclusion(
        delivery=stored.id,
        attempt=attempt,
        tenant=stored.tenant,
        provider=stored.provider,
        connection=stored.connection,
        feed=stored.feed,
        event="",
        state="parked",
        at=at,
        received_at=stored.received_at,
        key=None,
        groups=(),
        mappings=(),
        failures=((failure.cls, failure.code, orjson.dumps(failure.to_json())),),
        results=item_results((failure,)),
        entities="[]",
        external_merchant="",
        external_store="",
        merchant_id="",
        store_id="",
        spec_hash=stored.spec_hash,
    )
