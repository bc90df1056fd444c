"""Rules of alerts, what stands of them, and the messages that tell of it. URLs and secrets are kept sealed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, func, insert, select, update

from stores import audit
from stores.database import put_rows
from stores.tables import alert_messages, alert_states, alerts

MOST = 100
"""Rules that there may be."""
KEPT = 200
"""Messages kept of one rule, beside those that are still to be sent."""
TIFFIN = "tiffin"
"""Who the audit says fires alerts and resolves them."""


class AlertUnknown(LookupError):
    """There is no alert of that id."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule: what is measured and when that is too much. See flows.alerting.kinds for units.

    `above` None: by each connection's own habit. `within`: seconds that are looked back on; `least`: fewer
    deliveries than these say nothing. `remind`: seconds between reminders, 0: none. `host`: where messages go.
    """

    id: str
    kind: str
    above: int | None
    within: int
    least: int
    provider: str
    connection: str
    remind: int
    host: str
    created_at: datetime
    created_by: str


class Standing(NamedTuple):
    """An alert that was told of a subject ("" where it has none) and is not over. `calm_since`: all is well since."""

    alert: str
    subject: str
    value: int
    since: datetime
    told_at: datetime
    reminded: int
    calm_since: datetime | None


class Message(NamedTuple):
    """What a receiver is told. `body` is JSON. `problem`: why it was not taken when last tried."""

    id: str
    alert: str
    at: datetime
    type: str
    subject: str
    body: str
    due_at: datetime | None
    attempts: int = 0
    sent_at: datetime | None = None
    problem: str = ""


class Changes(NamedTuple):
    """What one round came to: states as they now are, states that are over, and what is to be told."""

    put: tuple[Standing, ...] = ()
    over: tuple[Standing, ...] = ()
    messages: tuple[Message, ...] = ()


_A = alerts.c
_RULE = (
    _A.id, _A.kind, _A.above, _A.within, _A.least, _A.provider, _A.connection, _A.remind, _A.host, _A.created_at,
    _A.created_by,
)  # fmt: skip


def add(connection: Connection, alert: Alert, url: bytes, secret: bytes, why: str = "") -> bool:
    """Keeps a rule with its sealed URL and secret. False where there are MOST already."""
    if (connection.scalar(select(func.count()).select_from(alerts)) or 0) >= MOST:
        return False
    values = {column.name: getattr(alert, column.name) for column in _RULE}
    connection.execute(insert(alerts).values(**values, url=url, secret=secret))
    told = {name: values[name] for name in ("kind", "above", "within", "least", "provider", "connection", "host")}
    audit.append(connection, alert.created_at, alert.created_by, "alert.add", alert.id, why, told)
    return True


def remove(connection: Connection, id: str, who: str, at: datetime, why: str = "") -> bool:
    """Removes a rule, what stands of it and its messages. False where there is none."""
    found = connection.execute(select(_A.kind, _A.host).where(_A.id == id)).first()
    if found is None:
        return False
    for table in (alert_states, alert_messages):
        connection.execute(delete(table).where(table.c.alert == id))
    connection.execute(delete(alerts).where(_A.id == id))
    audit.append(connection, at, who, "alert.remove", id, why, {"kind": found.kind, "host": found.host})
    return True


def listed(connection: Connection) -> list[Alert]:
    """The oldest first."""
    return [Alert(*row) for row in connection.execute(select(*_RULE).order_by(_A.created_at, _A.id))]


def get(connection: Connection, id: str) -> Alert:
    """Raises AlertUnknown."""
    row = connection.execute(select(*_RULE).where(_A.id == id)).first()
    if row is None:
        raise AlertUnknown(id)
    return Alert(*row)


def sealed_target(connection: Connection, id: str) -> tuple[bytes, bytes] | None:
    """The sealed URL and secret of a rule; None where it is gone."""
    row = connection.execute(select(_A.url, _A.secret).where(_A.id == id)).first()
    return None if row is None else (row[0], row[1])


def standing(connection: Connection) -> list[Standing]:
    """Everything that was told and is not over."""
    s = alert_states.c
    return [Standing(*row) for row in connection.execute(select(alert_states).order_by(s.alert, s.since, s.subject))]


def apply(connection: Connection, changes: Changes, at: datetime) -> None:
    """Writes what a round came to. What belongs to a rule that was removed meanwhile is left out."""
    there = set(connection.scalars(select(_A.id)))
    put_rows(connection, alert_states, [one._asdict() for one in changes.put if one.alert in there])
    s = alert_states.c
    for one in changes.over:
        connection.execute(delete(alert_states).where(s.alert == one.alert, s.subject == one.subject))
    for message in changes.messages:
        if message.alert in there:
            connection.execute(insert(alert_messages).values(message._asdict()))
            audit.append(connection, at, TIFFIN, message.type, message.alert, data={"subject": message.subject})
    for alert in {one.alert for one in changes.messages}:
        _forget_old(connection, alert)


def _forget_old(connection: Connection, alert: str) -> None:
    m = alert_messages.c
    done = select(m.id).where(m.alert == alert, m.due_at.is_(None)).order_by(m.at.desc(), m.id.desc())
    if gone := list(connection.scalars(done.offset(KEPT).limit(1000))):
        connection.execute(delete(alert_messages).where(m.id.in_(gone)))


def due(connection: Connection, at: datetime, limit: int) -> list[Message]:
    """Messages to be sent now, the longest due first."""
    m = alert_messages.c
    chosen = and_(m.due_at.is_not(None), m.due_at <= at)
    return [
        Message(*row)
        for row in connection.execute(select(alert_messages).where(chosen).order_by(m.due_at).limit(limit))
    ]


def note(connection: Connection, tried: Iterable[Message]) -> None:
    """Notes what became of messages that were tried."""
    m = alert_messages.c
    for one in tried:
        values = {"due_at": one.due_at, "attempts": one.attempts, "sent_at": one.sent_at, "problem": one.problem}
        connection.execute(update(alert_messages).where(m.id == one.id).values(values))


def messages(connection: Connection, limit: int = 50, alert: str = "") -> list[Message]:
    """The newest first."""
    m = alert_messages.c
    statement = select(alert_messages).order_by(m.at.desc(), m.id.desc()).limit(limit)
    return [Message(*row) for row in connection.execute(statement.where(m.alert == alert) if alert else statement)]


def latest(connection: Connection, ids: Sequence[str]) -> dict[str, Message]:
    """The newest message of each rule that has any."""
    return {id: found[0] for id in ids if (found := messages(connection, 1, id))}
