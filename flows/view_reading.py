"""Reads the views for those who ask over HTTP: from the copy where it has everything that SQL has, else from SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeVar

from sqlalchemy import Connection

from flows.journal import Journal
from flows.logging import logger
from stores.copied_views import CopiedViews, standing
from stores.view_copy import CopyAway, ViewCopy
from stores.view_sources import SqlViews, Views

T = TypeVar("T")
AWAY_SECONDS: Final = 1.0
"""For so long nobody waits for a copy that did not answer."""
_log = logger("tiffin.views")


class ViewReading:
    """The reading of one process. `counts` tells how many readings came from `copy` and from `sql`."""

    def __init__(self, journal: Journal, redis_url: str, clock: Callable[[], float] = monotonic) -> None:
        """`redis_url` "": there is no copy. `clock` counts seconds."""
        self._journal, self._url, self._clock = journal, redis_url, clock
        self._copy: ViewCopy | None = None
        self._away_until = 0.0
        self.counts: Counter[str] = Counter()

    async def read(self, job: Callable[[Views], T]) -> T:
        """What the job finds. Raises StoreUnavailable and what the job raises."""
        return await self._journal.read(lambda connection: self._run(connection, job))

    def close(self) -> None:
        if self._copy is not None:
            self._copy.close()

    def _run(self, connection: Connection, job: Callable[[Views], T]) -> T:
        if self._url and self._clock() >= self._away_until:
            try:
                if (copied := self._copied(connection)) is not None:
                    found = job(copied)
                    self.counts["copy"] += 1
                    return found
            except CopyAway as error:
                self._away_until = self._clock() + AWAY_SECONDS
                _log.warning("view_copy_away", reason=str(error))
        self.counts["sql"] += 1
        return job(SqlViews(connection))

    def _copied(self, connection: Connection) -> CopiedViews | None:
        """The copy; None while it lacks anything that stands in SQL."""
        stands = standing(connection)
        if not stands.namespace:
            return None
        copy = self._copy = self._copy or ViewCopy(self._url, stands.namespace)
        head = copy.head()
        if head is None or not stands.in_step(head):
            return None
        return CopiedViews(connection, copy, head)
