"""What mends a cause: a mapping, an acceptance, another body, another secret; and the replay of one delivery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from engine.messages import Ref
from flows import desk_edit, desk_lookups, desk_mappings, desk_secrets
from flows.replay import Replayed
from server.desk import filters as chosen
from server.desk.jobs import jobs_of
from server.desk.looking import connection_page, lookup_of, row_of
from server.desk.sessions import Visit, needs, now
from stores import audit, desk_groups
from stores import connections as rows_of
from stores.payloads import PayloadLost

_LONGEST_ID = 500


def _came_to(one: Replayed) -> str:
    said = f": {one.failures[0].message}" if one.failures else ""
    return f"{one.verdict or 'not run'}, {one.commands} commands{said}"


def _noted(transaction: Connection, who: str, what: str, id: str, why: str, told: Mapping[str, Any]) -> None:
    at = now()
    desk_groups.superseded(transaction, [id], who, at)
    audit.append(transaction, at, who, what, id, why, told)


@needs("support")
async def replay_one(visit: Visit) -> Response:
    id = visit.request.path_params["id"]
    as_then = visit.field("as") == "then"
    one = await visit.service.replay.one(id, as_then=as_then)
    told = {"verdict": one.verdict, "commands": one.commands, "as": "then" if as_then else "now"}
    await visit.write(_noted, visit.session.who, "delivery.replay", id, visit.field("why"), told)
    return _back_to(id, f"Replayed: {_came_to(one)}")


@needs("support")
async def accept(visit: Visit) -> Response:
    id = visit.request.path_params["id"]
    one = await visit.service.replay.accept(id)
    told = {"verdict": one.verdict, "commands": one.commands}
    await visit.write(_noted, visit.session.who, "delivery.accept", id, visit.field("why"), told)
    return _back_to(id, f"Accepted: {_came_to(one)}")


def _back_to(id: str, done: str) -> Response:
    return RedirectResponse(f"/desk/deliveries/{id}?{urlencode({'done': done[:300]})}", 303)


@needs("support")
async def edit_page(visit: Visit) -> Response:
    return await _edit(visit, None)


@needs("support")
async def edit(visit: Visit) -> Response:
    body, why = str(visit.form.get("body", "")), visit.field("why")
    if visit.field("do") != "replay" or not why:
        told = "Say why it is edited: the audit keeps it." if visit.field("do") == "replay" else ""
        return await _edit(visit, body, why, told)
    id = visit.request.path_params["id"]
    stored = await visit.service.journal.stored(id)
    loaded = visit.service.providers.get(stored.provider) if stored else None
    if loaded is None:
        return visit.refused(404, "Not possible", "There is no such delivery, or its provider file is not loaded.")
    try:
        body = await _with_line_ends(visit, id, body)
        one = await desk_edit.replay_edited(
            visit.service.journal, visit.service.replay, loaded, id, body, who=visit.session.who, why=why, at=now()
        )
    except (desk_edit.NotEditable, PayloadLost) as error:
        return visit.refused(409, "Not editable", str(error))
    return _back_to(one.delivery, f"Edited and replayed: {_came_to(one)}")


async def _edit(visit: Visit, body: str | None, why: str = "", told: str = "") -> Response:
    """The form, with the difference where there is one."""
    id = visit.request.path_params["id"]
    try:
        _, request = await desk_edit.editable(visit.service.journal, id)
    except (desk_edit.NotEditable, PayloadLost) as error:
        return visit.refused(409, "Not editable", str(error))
    before = request.body.decode()
    after = before if body is None else await _with_line_ends(visit, id, body)
    lines = desk_edit.difference(before, after)
    return visit.page(
        "edit.html", 400 if told else 200, id=id, body=after, lines=lines, why=why, told=told, looked=body is not None
    )


async def _with_line_ends(visit: Visit, id: str, body: str) -> str:
    """A form sends every line's end as CR LF: lines end as in what was received."""
    _, request = await desk_edit.editable(visit.service.journal, id)
    return body if b"\r\n" in request.body else body.replace("\r\n", "\n")


@needs("support")
async def map_id(visit: Visit) -> Response:
    cause = chosen.cause(visit.form)
    canonical = visit.field("canonical_id") or visit.field("suggested")
    if cause.kind not in desk_mappings.KINDS or not cause.external_id or not 0 < len(canonical) <= _LONGEST_ID:
        return visit.refused(400, "Nothing to map", "Choose a suggestion or write the canonical id.")
    ref = Ref(cause.kind, cause.within, cause.external_id)
    await visit.write(
        desk_mappings.set_one, cause.tenant, cause.provider, ref, canonical, who=visit.session.who,
        why=visit.field("why"), at=now(),
    )  # fmt: skip
    return RedirectResponse(f"/desk/replay?{urlencode(chosen.cause_query(cause))}", 303)


@needs("support")
async def add_to_lookup(visit: Visit) -> Response:
    """Adds a value to the table that it was missing in, for the connections of a group."""
    cause, why = chosen.cause(visit.form), visit.field("why")
    sample = await visit.read(desk_groups.sample, cause)
    table = await lookup_of(visit, cause, sample)
    loaded = visit.service.providers.get(cause.provider)
    if table is None or loaded is None:
        return visit.refused(409, "Not possible", "Nothing of this cause is open, or the provider file has changed.")
    value = desk_lookups.chosen(table, visit.field("known"), visit.field("other"))
    if value is None or not why:
        return visit.refused(400, "Nothing to add", "Choose what the value means, and say why: the audit keeps it.")
    ids = await visit.read(desk_groups.connections_of, cause, desk_lookups.MOST_CONNECTIONS + 1)
    if len(ids) > desk_lookups.MOST_CONNECTIONS:
        text = "So many connections send it that it belongs into the provider file itself."
        return visit.refused(409, "Too many connections", text)
    rows = [row for row in await visit.read(rows_of.rows) if row.id in ids]
    try:
        changes = desk_lookups.changes(loaded, table, cause.external_id, value, {row.id: row.overrides for row in rows})
    except desk_lookups.OverrideRefused as refused:
        return visit.refused(409, "The override does not fit", str(refused))
    if not await visit.write(desk_lookups.store, changes, who=visit.session.who, why=why, at=now()):
        return visit.refused(409, "Changed meanwhile", "Somebody else changed one of the connections. Look again.")
    return RedirectResponse(f"/desk/replay?{urlencode(chosen.cause_query(cause))}", 303)


@needs("admin")
async def rotate(visit: Visit) -> Response:
    row = await row_of(visit, visit.request.path_params["id"])
    loaded = visit.service.providers.get(row.provider) if row else None
    if row is None or loaded is None:
        return visit.refused(404, "Not possible", "There is no such connection, or its provider file is not loaded.")
    name, value = visit.field("name"), visit.field("value")
    try:
        desk_secrets.check(loaded.interpreter, name, value)
        overlap = timedelta(hours=float(visit.field("overlap") or 24))
        if not timedelta(0) <= overlap <= timedelta(days=90):
            raise ValueError
    except desk_secrets.SecretRefused as error:
        return await connection_page(visit, row, str(error), 400)
    except (ValueError, OverflowError):
        return await connection_page(visit, row, "The overlap is a number of hours, from 0 to 2160.", 400)
    sealed = visit.service.journal.seal(value.encode())
    await visit.write(
        desk_secrets.rotated, row.id, name, sealed, overlap, who=visit.session.who, why=visit.field("why"), at=now()
    )
    return RedirectResponse(f"/desk/connections/{row.id}?{urlencode({'done': f'{name} is replaced.'})}", 303)


@needs("support")
async def verify(visit: Visit) -> Response:
    row = await row_of(visit, visit.request.path_params["id"])
    if row is None:
        return visit.refused(404, "No such connection", "See the list of connections.")
    waiting = await visit.read(desk_secrets.quarantined, row.id, row.provider, 10_000)
    if not waiting:
        return await connection_page(visit, row, "Nothing is in its quarantine.", 409)
    why = visit.field("why") or "verified again"
    id = await jobs_of(visit).begin(waiting, visit.session.who, why, {"quarantine": row.id})
    return RedirectResponse(f"/desk/jobs/{id}", 303)
