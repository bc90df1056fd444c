"""Has stored deliveries looked at again: for shadows and for drift. One process at a time does.

Each round takes the deliveries behind a position, at most as many as the rate allows, evenly spread where there are
more, and rests longer than it worked. What commits later than `LAG` after it was received is passed by: a sample is
taken, nothing is claimed.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from flows.journal import Journal, StoreUnavailable
from flows.metrics import Metrics
from flows.observing.side import Compare, Look, Side, SideFailed
from flows.providers import LoadedProvider
from flows.rounds import Log
from flows.settings import Settings
from stores import drifts, leases, shadows, specs
from stores.shadows import Shadow, Waiting
from stores.writer import Work

if TYPE_CHECKING:
    from flows.backtesting.report import Report
    from flows.observing.counting import Tally
    from flows.observing.drifting import Looked

PACE: Final = 1.0
"""Seconds between two rounds, at least."""
REST, BUSY_REST = 3.0, 9.0
"""How many times as long as a round worked it rests before the next."""
BUSY_ROWS: Final = 16
"""With more rows than these waiting for a commit a round is left out, but no more than `PATIENCE` in a row."""
PATIENCE: Final = 20
DRIFT_PACE: Final = 5.0
"""Seconds between two looks for drift, at least."""
LAG: Final = timedelta(seconds=2)
IDLE_SECONDS: Final = 60.0
LARGEST: Final = 1 << 20
"""Bytes of a body; larger ones are left alone."""
AT_ONCE, BYTES_AT_ONCE = 200, 8 << 20
_DRIFT = "drift"
_LEASE, _LEASE_TIME = "observer", timedelta(seconds=30)


def position_at(moment: datetime) -> str:
    """What the ids of deliveries that are received from then on come behind."""
    return f"{int(moment.timestamp() * 1000):012x}"


class Observer:
    """The observer of one process. `live` are the providers that serve; `owner` names the process on its lease."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        metrics: Metrics,
        live: Callable[[], Mapping[str, LoadedProvider]],
        clock: Callable[[], datetime],
        owner: str,
        log: Log,
        *,
        lag: timedelta = LAG,
    ) -> None:
        self._settings, self._journal, self._metrics, self._live = settings, journal, metrics, live
        self._clock, self._owner, self._log, self._lag = clock, owner, log, lag
        self._side = Side(settings)
        self._since = self._used = perf_counter()
        self._drift_at = self._since - DRIFT_PACE
        self._left_out = 0
        self._renew_at: datetime | None = None

    async def run(self) -> None:
        """Round after round, until cancelled. Outlasts every failure."""
        try:
            while True:
                began = perf_counter()
                busy = self._journal.depth[0] > BUSY_ROWS
                self._left_out = self._left_out + 1 if busy else 0
                if not busy or self._left_out % PATIENCE == 0:
                    await self._survived()
                spent = perf_counter() - began
                await asyncio.sleep(max(PACE, spent * (BUSY_REST if busy else REST)))
        finally:
            await self._side.close()
            await self._give_back()

    async def _survived(self) -> None:
        try:
            await self.round()
        except StoreUnavailable:
            return
        except Exception as error:
            self._log.warning("observer_failed", reason=str(error) or type(error).__name__)

    async def round(self) -> int:
        """One round; returns how many deliveries were looked at. Raises StoreUnavailable and SideFailed."""
        now = perf_counter()
        seconds, self._since = min(now - self._since, 30.0), now
        until = position_at(self._clock() - self._lag)
        done = 0
        for shadow in await self._journal.read(shadows.running):
            if await self._has_turn():
                done += await self._shadow(shadow, until, seconds)
        if self._settings.drift and now - self._drift_at >= DRIFT_PACE and await self._is_free():
            seconds, self._drift_at = min(now - self._drift_at, 30.0), now
            done += await self._drift(until, seconds)
        if done:
            self._used = perf_counter()
        elif self._side.runs and perf_counter() - self._used > IDLE_SECONDS:
            await self._side.close()
        return done

    async def _is_free(self) -> bool:
        """Whether no other process observes."""
        if self._settings.embedded:
            return True
        now = self._clock()
        return await self._journal.read(lambda t: leases.is_free(t, _LEASE, self._owner, now))

    async def _has_turn(self) -> bool:
        """Whether this process is the one that observes. On SQLite there is no other."""
        now = self._clock()
        if self._settings.embedded or (self._renew_at is not None and now < self._renew_at):
            return True
        self._renew_at = None
        if not await self._is_free():
            return False
        if await self._journal.write(Work(leases.take, _LEASE, self._owner, now, now + _LEASE_TIME)) is None:
            return False
        self._renew_at = now + _LEASE_TIME / 3
        return True

    async def _give_back(self) -> None:
        """Another process may observe at once."""
        if self._renew_at is not None:
            with suppress(Exception):
                await self._journal.write(Work(leases.release, _LEASE, self._owner))

    # ---- shadows ----

    async def _shadow(self, shadow: Shadow, until: str, seconds: float) -> int:
        # Imported here because a server without a shadow has no use for what compares.
        from flows.observing.counting import tally_of

        live = self._live().get(shadow.provider)
        if live is None or live.spec_hash == shadow.hash:
            return 0
        most = max(1, min(AT_ONCE, int(shadow.rate * seconds)))
        found: Waiting = await self._journal.read(
            partial(
                shadows.waiting, provider=shadow.provider, after=shadow.position, until=until, most=most,
                largest=LARGEST, most_bytes=BYTES_AT_ONCE,
            )
        )  # fmt: skip
        if not found.last and live.spec_hash == shadow.live_hash:
            return 0
        before = tally_of({}, b"")
        if live.spec_hash == shadow.live_hash:
            before = tally_of(shadow.counts, self._journal.unseal(shadow.examples) if shadow.examples else b"")
        else:
            self._log.info("shadow_began_again", provider=shadow.provider, reason="another revision serves by now")
        problem, report = "", tally_of({}, b"").report
        try:
            report = await self._compared(shadow, live, found, report)
        except SideFailed as error:
            problem = str(error)
            self._log.warning("shadow_failed", provider=shadow.provider, reason=problem)
        await self._note(shadow, live, found, before, report, problem)
        return len(found.ids)

    async def _compared(self, shadow: Shadow, live: LoadedProvider, found: Waiting, empty: Report) -> Report:
        if not found.ids:
            return empty
        new = await self._journal.read(partial(specs.text, hash=shadow.hash))
        if new is None:
            raise SideFailed("the text of the shadow's file is not in the database")
        report: Report = await self._side.ask(Compare(shadow.provider, live.text, new, list(found.ids)))
        return report

    async def _note(
        self, shadow: Shadow, live: LoadedProvider, found: Waiting, before: Tally, report: Report, problem: str
    ) -> None:
        if found.too_large:
            report.lost["too_large"] += found.too_large
        self._metrics.shadowed(shadow.provider, report, found.left_out)
        before.report.merge(report)
        tally = dataclasses.replace(before, left_out=before.left_out + found.left_out)
        sealed = self._journal.seal(tally.examples())
        counts: dict[str, Any] = tally.counts()
        position = found.last or shadow.position
        await self._journal.write(
            Work(shadows.note, shadow.id, position, live.spec_hash, counts, (shadow.examples, sealed), problem)
        )

    # ---- drift ----

    async def _drift(self, until: str, seconds: float) -> int:
        position = await self._journal.read(partial(drifts.position, name=_DRIFT))
        if position is None:
            if await self._has_turn():
                await self._journal.write(Work(drifts.move, _DRIFT, until))
            return 0
        most = max(1, min(AT_ONCE, int(self._settings.drift * seconds)))
        found: Waiting = await self._journal.read(
            partial(
                shadows.waiting, provider=None, after=position, until=until, most=most, largest=LARGEST,
                most_bytes=BYTES_AT_ONCE,
            )
        )  # fmt: skip
        if not found.last or not await self._has_turn():
            return 0
        try:
            if found.ids:
                await self._note_drift(await self._side.ask(Look(list(found.ids))))
        except SideFailed as error:
            self._log.warning("drift_failed", reason=str(error))
        await self._journal.write(Work(drifts.move, _DRIFT, found.last))
        return len(found.ids)

    async def _note_drift(self, looked: Looked) -> None:
        now = self._clock()
        if looked.learned:
            await self._journal.write(Work(drifts.learn, [one._asdict() for one in looked.learned]))
        new = [drifts.NewDrift(*one[:-1], self._journal.seal(one.shown) if one.shown else b"") for one in looked.found]
        made = await self._journal.write(Work(drifts.note, now, new)) if new else []
        for one, is_made in zip(new, made, strict=True):
            if is_made:
                self._metrics.drifted(one.provider, one.feed, one.kind)
                self._log.info("drift_noticed", provider=one.provider, feed=one.feed, kind=one.kind, path=one.path)
        self._metrics.drift_looked(looked.looked)
