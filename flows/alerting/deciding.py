"""From what is measured to what is told: each trouble once, its end once, and few reminders in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from flows.alerting.telling import message
from stores.alerts import Alert, Changes, Message, Standing

CALM: Final = timedelta(minutes=2)
"""So long all has to be well before that is told: what comes and goes is one trouble."""
MOST_REMINDERS: Final = 3
MOST_SUBJECTS: Final = 50
"""One rule tells of so many subjects at once at the most."""


class Measured(NamedTuple):
    """A value in the unit of its kind, and the bound that holds for it."""

    value: int
    above: int

    @property
    def too_much(self) -> bool:
        return self.value > self.above


def decide(
    alert: Alert, measured: Mapping[str, Measured], standing: Iterable[Standing], now: datetime, desk: str
) -> Changes:
    """What is to be told of a rule. `measured` is by subject; one that is missing is well."""
    put: list[Standing] = []
    over: list[Standing] = []
    messages: list[Message] = []
    told = {one.subject: one for one in standing}
    for one in told.values():
        found = measured.get(one.subject)
        if found is not None and found.too_much:
            again, reminder = _goes_on(alert, one, found, now, desk)
            put.append(again)
            messages.extend(reminder)
        elif one.calm_since is None:
            put.append(one._replace(calm_since=now))
        elif now - one.calm_since >= CALM:
            over.append(one)
            value = found.value if found is not None else 0
            messages.append(message(alert, "alert.resolved", one.subject, value, None, one.since, now, desk))
    room = MOST_SUBJECTS - len(told) + len(over)
    for subject in sorted(name for name, one in measured.items() if one.too_much and name not in told)[: max(room, 0)]:
        value, above = measured[subject]
        put.append(Standing(alert.id, subject, value, now, now, 0, None))
        messages.append(message(alert, "alert.firing", subject, value, above, now, now, desk))
    changed = tuple(one for one in put if one != told.get(one.subject))
    return Changes(changed, tuple(over), tuple(messages))


def _goes_on(
    alert: Alert, one: Standing, found: Measured, now: datetime, desk: str
) -> tuple[Standing, tuple[Message, ...]]:
    one = one._replace(value=found.value, calm_since=None)
    due = alert.remind and one.reminded < MOST_REMINDERS and now - one.told_at >= timedelta(seconds=alert.remind)
    if not due:
        return one, ()
    reminder = message(alert, "alert.reminder", one.subject, found.value, found.above, one.since, now, desk)
    return one._replace(told_at=now, reminded=one.reminded + 1), (reminder,)
