"""Brings what the projection has written into the copy in Redis, after the commit and beside the projection.

With Redis away, writes wait; where more gathers than is kept, or where the copy lacks what another process wrote, a
new generation of it begins, which is filled by who reads. The projection waits for none of this.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.views import Entity
from flows.consume.health import ConsumerHealth
from flows.relay import Runs
from flows.rounds import Backoff, Log, Rest, Rounds
from stores import copied_views
from stores.copied_views import Standing, mark_of
from stores.view_copy import CopyAway, Head, Value, ViewCopy, values_of
from stores.views import Advance

MOST_WAITING: Final = 20_000
"""So many entities are kept for a copy that is away."""
IDLE_SECONDS: Final = 1.0
PATIENCE: Final = 3
"""Looks at a copy that lacks something before it is given up: another process may be about to write it."""


class Written(NamedTuple):
    """What one transaction of the projection wrote."""

    moves: Sequence[Advance]
    entities: Sequence[Entity]


class Copier(Rounds):
    """The copy's writer in one process, on a thread of its own."""

    def __init__(self, url: str, read: Runs, write: Runs, log: Log) -> None:
        super().__init__("view-copy", Backoff(IDLE_SECONDS, IDLE_SECONDS))
        self._url, self._read, self._write, self._log = url, read, write, log
        self._copy: ViewCopy | None = None
        self._head: Head | None = None
        self._waiting: deque[Written] = deque()
        self._entities = 0
        self._lost = False
        self._out_of_step = 0
        self._lock = threading.Lock()
        self._health = ConsumerHealth()

    @property
    def health(self) -> ConsumerHealth:
        return self._health._replace(behind=self._entities)

    def written(self, moves: Sequence[Advance], entities: Sequence[Entity]) -> None:
        """Takes what was committed. Cheap; never waits."""
        with self._lock:
            if self._entities + len(entities) > MOST_WAITING:
                self._waiting.clear()
                self._entities, self._lost = 0, True
            else:
                self._waiting.append(Written(moves, entities))
                self._entities += len(entities)
        self.wake()

    def step(self) -> int:
        """Writes what waits, or looks whether the copy is in step; returns how many entities were written.

        Raises CopyAway and what the database raises.
        """
        if self._copy is None:
            self._copy = ViewCopy(self._url, self._write(mark_of))
        with self._lock:
            batch, lost, self._lost = list(self._waiting), self._lost, False
        try:
            if lost or self._head is None or not batch:
                self._look(self._copy, lost)
        except Exception:
            self._lost = self._lost or lost
            raise
        done = self._put(self._copy, batch) if batch else 0
        with self._lock:
            # An overflow may have thrown them away meanwhile.
            for one in batch:
                if self._waiting and self._waiting[0] is one:
                    self._waiting.popleft()
                    self._entities -= len(one.entities)
        return done

    def _look(self, copy: ViewCopy, lost: bool) -> None:
        """Finds the copy's head; begins a new generation where it is void."""
        self._head, stands = copy.head(), self._read(copied_views.standing)
        if lost or self._head is None or self._head.epoch != stands.epoch:
            self._begin(copy, stands)
        elif stands.in_step(self._head) or self._waiting:
            self._out_of_step = 0
        else:
            self._out_of_step += 1
            if self._out_of_step >= PATIENCE:
                self._begin(copy, stands)

    def _begin(self, copy: ViewCopy, stands: Standing) -> None:
        self._head = copy.begin(stands.epoch, stands.positions)
        self._out_of_step = 0
        self._log.info("view_copy_begun", generation=self._head.generation)

    def _put(self, copy: ViewCopy, batch: Sequence[Written]) -> int:
        """Raises CopyAway."""
        newest: dict[tuple[str, str], Value] = {}
        for written in batch:
            for entity in written.entities:
                newest.update({(value.hash, value.field): value for value in values_of(entity)})
        moves = _joined(batch)
        assert self._head is not None
        if (told := copy.put(self._head, list(newest.values()), moves)) != "ok":
            if told == "gap":
                self._begin(copy, self._read(copied_views.standing))
            else:
                self._look(copy, False)
            copy.put(self._head, list(newest.values()), moves)
        return sum(len(written.entities) for written in batch)

    def _round(self) -> Rest:
        done = self.step()
        self._health = ConsumerHealth("running", 0, self._health.done + done)
        return Rest(0) if self._waiting else Rest(IDLE_SECONDS, until_woken=True)

    def _failed(self, error: Exception, times: int, wait: float) -> None:
        self._head = None
        if times == 1:
            why = str(error) if isinstance(error, CopyAway) else repr(error)
            self._log.warning("view_copy_away", reason=why)
        self._health = self._health._replace(state="backing_off", last_error=type(error).__name__)

    def _recovered(self, times: int) -> None:
        self._log.info("view_copy_back")

    def _ended(self) -> None:
        """What still waits after this is in SQL, and the next process finds it missing in the copy."""
        if self._waiting:
            self.attempt()
        self._health = self._health._replace(state="stopped")
        if self._copy is not None:
            self._copy.close()


def _joined(batch: Sequence[Written]) -> list[Advance]:
    """The moves of several transactions as one for each partition."""
    found: dict[int, Advance] = {}
    for written in batch:
        for move in written.moves:
            known = found.get(move.partition)
            found[move.partition] = move if known is None else known._replace(after=move.after)
    return list(found.values())
