"""What each kind of alert measures, by subject: a connection's id, or "" where it is of everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from flows.alerting.deciding import Measured
from flows.alerting.habits import Silent
from stores import alert_facts
from stores.alert_facts import Sender, id_time
from stores.alerts import Alert


class Scene(NamedTuple):
    """What is known when a round begins."""

    now: datetime
    senders: tuple[Sender, ...]
    silent: tuple[Silent, ...]


def measure(transaction: Connection, alert: Alert, scene: Scene) -> Mapping[str, Measured]:
    return _KINDS[alert.kind](transaction, alert, scene)


def _failure_rate(transaction: Connection, alert: Alert, scene: Scene) -> Mapping[str, Measured]:
    since = scene.now - timedelta(seconds=alert.within)
    found = alert_facts.failure_rate(transaction, since, alert.provider, alert.connection)
    if found.all < max(alert.least, 1):
        return {}
    # Rounded up, so that 20.4 % is more than 20 %.
    return {_scope(alert): Measured(-(-100 * found.bad // found.all), alert.above or 0)}


def _outbox_age(transaction: Connection, alert: Alert, scene: Scene) -> Mapping[str, Measured]:
    since = alert_facts.outbox_since(transaction)
    return {} if since is None else {"": Measured(_seconds(scene.now - since), alert.above or 0)}


def _quarantine(transaction: Connection, alert: Alert, scene: Scene) -> Mapping[str, Measured]:
    count = alert_facts.quarantined(transaction, alert.provider, alert.connection)
    return {_scope(alert): Measured(count, alert.above or 0)}


def _silent_connection(_: Connection, alert: Alert, scene: Scene) -> Mapping[str, Measured]:
    if alert.above is None:
        return {
            one.sender.id: Measured(_seconds(scene.now - one.last), _seconds(one.allowed))
            for one in scene.silent
            if _is_of(alert, one.sender)
        }
    return {
        one.id: Measured(_seconds(scene.now - id_time(one.newest)), alert.above)
        for one in scene.senders
        if one.newest and _is_of(alert, one)
    }


_KINDS: Final[Mapping[str, Callable[[Connection, Alert, Scene], Mapping[str, Measured]]]] = {
    "failure_rate": _failure_rate,
    "outbox_age": _outbox_age,
    "quarantine": _quarantine,
    "silent_connection": _silent_connection,
}


def _is_of(alert: Alert, sender: Sender) -> bool:
    return alert.provider in ("", sender.provider) and alert.connection in ("", sender.id)


def _scope(alert: Alert) -> str:
    return alert.connection or alert.provider


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())
