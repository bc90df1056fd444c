"""When a connection is silent for longer than its habit.

A pause that came only once in a fortnight may have been an outage and is no habit: the second longest counts. Half as
much again, at least half an hour and at most a week, is what a connection may be silent for. One that has paused fewer
than three times has no habit yet, and is never said to be silent.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from stores import desk_habits
from stores.alert_facts import Sender, id_time

LEAST_PAUSES: Final = 3
SHORTEST: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(days=7)
LEARNED_FOR: Final = timedelta(hours=6)
"""A habit is learned anew after so long, if something was sent since."""
LEARNED_AT_ONCE: Final = 50


def allowance(pauses: list[timedelta]) -> timedelta | None:
    """How long a connection with these pauses, the longest first, may be silent; None: no habit yet."""
    if len(pauses) < LEAST_PAUSES:
        return None
    return min(max(pauses[1] * 1.5, SHORTEST), LONGEST)


class Silent(NamedTuple):
    """A connection that has sent nothing for longer than its habit allows."""

    sender: Sender
    last: datetime
    allowed: timedelta


class _Habit(NamedTuple):
    newest: str
    learned_at: datetime
    allowed: timedelta | None


class Habits:
    """What was learned of connections; a few are learned at once, the others in the next rounds."""

    def __init__(self) -> None:
        self._known: dict[str, _Habit] = {}

    def silent(self, transaction: Connection, senders: Iterable[Sender], now: datetime) -> list[Silent]:
        """Those that are silent for too long, by id."""
        sending = [one for one in senders if one.newest]
        self._known = {one.id: self._known[one.id] for one in sending if one.id in self._known}
        for one in [one for one in sending if self._to_learn(one, now)][:LEARNED_AT_ONCE]:
            allowed = allowance(desk_habits.pauses(transaction, one.id, one.newest))
            self._known[one.id] = _Habit(one.newest, now, allowed)
        return [found for one in sending if (found := self._silent(one, now)) is not None]

    def _to_learn(self, one: Sender, now: datetime) -> bool:
        known = self._known.get(one.id)
        return known is None or (known.newest != one.newest and now - known.learned_at >= LEARNED_FOR)

    def _silent(self, one: Sender, now: datetime) -> Silent | None:
        known, last = self._known.get(one.id), id_time(one.newest)
        if known is None or known.allowed is None or now - last <= known.allowed:
            return None
        return Silent(one, last, known.allowed)
