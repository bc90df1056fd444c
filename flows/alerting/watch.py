"""Looks every half minute whether a connection is silent and whether an alert is to be told, and sends what is due.

One process does it, under a lease; what it decided is written only while the lease stands. A crash between sending a
message and noting that sends it again, with the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection

from flows.alerting.deciding import decide
from flows.alerting.habits import Habits, Silent
from flows.alerting.measuring import Scene, measure
from flows.alerting.sending import AT_ONCE, Posts, Target, sent
from flows.journal import Journal, StoreUnavailable
from flows.logging import logger
from stores import alert_facts, alerts, leases, silences
from stores.alerts import Changes, Message, Standing
from stores.notices import NewNotice
from stores.writer import Work

LEASE: Final = "alerts"
INTERVAL_SECONDS: Final = 30.0
LEASE_SECONDS: Final = 120.0

_log = logger("tiffin.alerts")


class _Round(NamedTuple):
    changes: Changes
    raised: tuple[NewNotice, ...]
    over: tuple[str, ...]


class Watch:
    """The watch of one process. `desk` is the URL before /desk; `poster` makes what posts when it is first needed."""

    def __init__(
        self, store: Journal, owner: str, clock: Callable[[], datetime], desk: str, poster: Callable[[], Posts]
    ) -> None:
        self._store, self._owner, self._clock, self._desk, self._poster = store, owner, clock, desk, poster
        self._habits = Habits()
        self._held = False

    async def run(self, interval: float = INTERVAL_SECONDS) -> None:
        """Round after round, through every outage of the store."""
        try:
            while True:
                await asyncio.sleep(interval)
                try:
                    await self.round()
                except StoreUnavailable:
                    _log.warning("store_unavailable")
                except Exception:
                    _log.exception("alerts_failed")
        finally:
            await self._release()

    async def round(self) -> bool:
        """Looks, decides, writes and sends; False where another process does it. Raises StoreUnavailable."""
        now = self._clock()
        if not await self._store.read(lambda t: leases.is_free(t, LEASE, self._owner, now)):
            return False
        until = now + timedelta(seconds=LEASE_SECONDS)
        fence = await self._store.write(Work(leases.take, LEASE, self._owner, now, until))
        self._held = fence is not None
        if fence is None:
            return False
        found = await self._store.read(lambda transaction: self._look(transaction, now))
        if any(found.changes) or found.raised or found.over:
            await self._store.write(Work(_kept, self._owner, fence, found, now))
        await self._send()
        return True

    def _look(self, transaction: Connection, now: datetime) -> _Round:
        senders = tuple(alert_facts.senders(transaction))
        silent = tuple(self._habits.silent(transaction, senders, now))
        scene = Scene(now, senders, silent)
        put: list[Standing] = []
        over: list[Standing] = []
        messages: list[Message] = []
        standing = alerts.standing(transaction)
        for alert in alerts.listed(transaction):
            mine = [one for one in standing if one.alert == alert.id]
            found = decide(alert, measure(transaction, alert, scene), mine, now, self._desk)
            put += found.put
            over += found.over
            messages += found.messages
        told = silences.standing(transaction)
        raised = tuple(self._notice(one, now) for one in silent if one.sender.id not in told)
        ended = tuple(sorted(told.keys() - {one.sender.id for one in silent}))
        return _Round(Changes(tuple(put), tuple(over), tuple(messages)), raised, ended)

    def _notice(self, one: Silent, now: datetime) -> NewNotice:
        hours = round(one.allowed.total_seconds() / 3600, 1)
        shown = {"last delivery": f"{one.last:%Y-%m-%d %H:%M:%S} UTC", "silent for longer than": f"{hours} hours"}
        sender = one.sender
        sealed = self._store.seal(orjson.dumps(shown))
        return NewNotice(now, sender.tenant, sender.provider, sender.id, silences.SILENCE, "", sealed)

    async def _send(self) -> None:
        """What is due, a few at once, until one is not taken: a slow receiver holds up the round for one try."""
        taken = True
        while taken:
            due = await self._store.read(lambda transaction: alerts.due(transaction, self._clock(), AT_ONCE))
            if not due:
                return
            tried = await asyncio.gather(*(self._sent(one) for one in due))
            await self._store.write(Work(alerts.note, tried))
            for one in tried:
                if one.problem:
                    taken = False
                    _log.warning("alert_not_taken", alert=one.alert, attempts=one.attempts, reason=one.problem)

    async def _sent(self, message: Message) -> Message:
        target = await target_of(self._store, message.alert)
        if target is None:
            return message._replace(due_at=None, problem="the alert is gone")
        return await sent(self._poster(), message, target, self._clock)

    async def _release(self) -> None:
        if not self._held:
            return
        try:
            await self._store.write(Work(leases.release, LEASE, self._owner))
        except Exception:
            _log.warning("lease_not_given_back")


async def target_of(store: Journal, alert: str) -> Target | None:
    """Where a rule's messages go; None where it is gone."""
    sealed = await store.read(lambda transaction: alerts.sealed_target(transaction, alert))
    if sealed is None:
        return None
    url, secret = (store.unseal(one).decode() for one in sealed)
    return Target(url, secret)


def _kept(connection: Connection, owner: str, fence: int, found: _Round, at: datetime) -> bool:
    """Writes what a round came to; False where the lease is another's by now."""
    if not leases.stands(connection, LEASE, owner, fence):
        return False
    alerts.apply(connection, found.changes, at)
    silences.put(connection, found.raised, found.over)
    return True


def poster_for(networks: tuple[str, ...]) -> Callable[[], Any]:
    """Makes what posts, once, when it is first needed: TLS takes memory that few servers have a use for."""
    made: list[Any] = []

    def poster() -> Any:
        if not made:
            from flows.alerting.posting import Poster

            made.append(Poster(networks))
        return made[0]

    return poster
