"""Verifies again what a connection has in quarantine, with the secrets of now, and works on what verifies.

Each is verified as of when it came. What verifies is released and run as any delivery: a crash in between leaves it
in flight, and recovery finishes it. What does not verify stays where it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from engine.failures import Failure
from flows.journal import Journal
from flows.replay import Replay
from stores import deliveries


class VerifiedAgain(NamedTuple):
    """One request. `verdict` is what it came to, `verifies` in a preview, `unauthorized` where it still does not,
    "" where it could not be run: then, and where it failed, `failures` say why."""

    delivery: str
    verdict: str
    commands: int
    failures: tuple[Failure, ...]


class VerifyAgain:
    """The quarantine of one connection."""

    def __init__(self, replay: Replay, journal: Journal, connection: str) -> None:
        self._replay, self._journal, self._connection = replay, journal, connection

    async def ids(self) -> list[str] | None:
        """What is quarantined of the connection, or of its provider for no connection; None: there is no such one."""
        found = await self._journal.connection(self._connection)
        if found is None:
            return None
        return await self._journal.read(lambda t: deliveries.quarantined_ids(t, found.id, found.provider))

    async def run(self, ids: list[str], *, dry_run: bool = False) -> AsyncIterator[VerifiedAgain | None]:
        """Each request in turn; None for one that named no connection and is not this one's. Raises
        StoreUnavailable; what was yielded stands."""
        for id in ids:
            connection, failure = await self._replay.verifies(id)
            if failure is not None:
                verdict = "unauthorized" if failure.cls == "auth" else ""
                yield VerifiedAgain(id, verdict, 0, (failure,)) if await self._named(id) else None
            elif connection != self._connection:
                yield None
            elif dry_run:
                yield VerifiedAgain(id, "verifies", 0, ())
            else:
                one = await self._replay.one(id, wanted=self._connection)
                yield VerifiedAgain(id, one.verdict, one.commands, one.failures)

    async def _named(self, id: str) -> bool:
        stored = await self._journal.stored(id)
        return stored is not None and stored.connection == self._connection
