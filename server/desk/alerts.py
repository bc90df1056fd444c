"""Alerts: what is told to which webhook, how that goes, and a test of it."""

from __future__ import annotations

from collections import defaultdict
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from engine.model import seconds_of
from flows.alerting.kinds import KINDS, AlertRefused, Kind, new_alert, new_secret
from flows.alerting.testing import keep_test, send_test
from server.desk.sessions import Visit, needs, now
from stores import alerts

_MESSAGES = 30


async def _page(visit: Visit, status: int = 200, told: str = "", secret: str = "", id: str = "") -> Response:
    rules = await visit.read(alerts.listed)
    firing = defaultdict(list)
    for one in await visit.read(alerts.standing):
        firing[one.alert].append(one)
    messages = await visit.read(alerts.messages, _MESSAGES)
    return visit.page(
        "alerts.html", status, rules=rules, firing=firing, messages=messages, kinds=KINDS, told=told, secret=secret,
        made=id, given=visit.form, done=visit.request.query_params.get("done", ""),
    )  # fmt: skip


@needs("admin")
async def listed(visit: Visit) -> Response:
    return await _page(visit)


@needs("admin")
async def add(visit: Visit) -> Response:
    url, kind = visit.field("url"), visit.field("kind")
    try:
        rule = new_alert(
            kind, url, above=_bound(KINDS.get(kind), visit.field("above")), within=_seconds(visit.field("within")),
            least=_number(visit.field("least")), provider=visit.field("provider")[:200],
            connection=visit.field("connection")[:200], remind=_seconds(visit.field("remind") or "24h") or 0,
            who=visit.session.who, at=now(),
        )  # fmt: skip
        secret, seal = new_secret(), visit.service.journal.seal
        if not await visit.write(alerts.add, rule, seal(url.encode()), seal(secret.encode()), visit.field("why")):
            raise AlertRefused(f"there are {alerts.MOST} alerts; remove one first")
    except AlertRefused as refused:
        return await _page(visit, 400, f"Not added: {refused}.")
    return await _page(visit, secret=secret, id=rule.id)


def _bound(kind: Kind | None, text: str) -> int | None:
    """Seconds also as 10m. Raises AlertRefused."""
    return _seconds(text) if kind is not None and kind.unit == "seconds" else _number(text.removesuffix("%"))


def _number(text: str) -> int | None:
    if text and not (text.isdecimal() and len(text) < 10):
        raise AlertRefused("a whole number is expected")
    return int(text) if text else None


def _seconds(text: str) -> int | None:
    if not text:
        return None
    try:
        found = seconds_of(text)
    except ValueError:
        found = None
    if not isinstance(found, int):
        raise AlertRefused("a time is written as 90s, 30m, 24h or 7d")
    return found


@needs("admin")
async def test(visit: Visit) -> Response:
    """Sends a test message from this server and says whether it was taken."""
    id, service = visit.request.path_params["id"], visit.service
    try:
        rule = await visit.read(alerts.get, id)
    except alerts.AlertUnknown:
        return visit.refused(404, "No such alert", "See the list of alerts.")
    sealed = await visit.read(alerts.sealed_target, id)
    poster = visit.request.app.state.poster()
    message = await send_test(rule, sealed, service.journal.unseal, poster, now, service.settings.public_url)
    await visit.write(keep_test, message, visit.session.who)
    if message.problem:
        return await _page(visit, told=f"Not taken: {message.problem}.")
    return _back("The test was taken.")


@needs("admin")
async def remove(visit: Visit) -> Response:
    id = visit.request.path_params["id"]
    if not await visit.write(alerts.remove, id, visit.session.who, now(), visit.field("why")):
        return visit.refused(404, "No such alert", "See the list of alerts.")
    return _back("The alert is removed.")


def _back(done: str) -> Response:
    return RedirectResponse(f"/desk/alerts?{urlencode({'done': done})}", 303)
