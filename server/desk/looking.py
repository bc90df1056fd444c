"""Pages that only look: what came, what it came to, and what is known of providers and connections."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import func, select
from starlette.responses import Response

from engine.plans import LOOKUP
from flows import desk_edit, desk_lookups, desk_mappings, desk_secrets
from flows.sealing import PLACEHOLDER
from flows.service import Service
from flows.urls import urls_of
from server.desk import filters as chosen
from server.desk.rendering import LONGEST_BODY, rendered
from server.desk.sessions import Visit, needs, now
from stores import alert_facts, desk_deliveries, desk_groups, silences
from stores import connections as rows_of
from stores import deliveries as stored_deliveries
from stores import failures as stored_failures
from stores import specs as specs_of
from stores.payloads import PayloadLost
from stores.tables import outbox, published, specs

HOURS = 24


@needs("viewer")
async def overview(visit: Visit) -> Response:
    return visit.page("overview.html", **await figures(visit.service))


async def figures(service: Service) -> dict[str, Any]:
    """What the overview shows, whoever looks."""
    at, read = now(), service.journal.read
    hours = await read(lambda t: desk_deliveries.by_hour(t, at, HOURS))
    groups = await read(lambda t: desk_groups.groups(t, limit=5))
    oldest = await read(alert_facts.outbox_since)
    classes = await read(lambda t: desk_groups.by_class(t, at - timedelta(hours=HOURS)))
    senders = await _senders(service)
    states: dict[str, int] = {}
    for hour in hours:
        for state, count in hour.states.items():
            states[state] = states.get(state, 0) + count
    return {
        "hours": hours, "states": states, "most": max([1, *(hour.total for hour in hours)]), "groups": groups,
        "waits": int((at - oldest).total_seconds()) if oldest else 0, "because": chosen.because, "classes": classes,
        "cause_query": chosen.cause_query, "depends": await service.dependencies(),
        "busiest": sorted(senders, key=lambda one: -one["recent"])[:5],
        "silent": [one for one in senders if one["silent"]],
    }  # fmt: skip


async def live_overview(service: Service) -> str:
    """The part of the overview that changes, as HTML."""
    return rendered("overview_live.html", **await figures(service))


async def _senders(service: Service) -> list[dict[str, Any]]:
    """Each enabled connection with its last delivery, and since when it is told to be silent (None: it is not)."""
    at, read = now(), service.journal.read
    told = await read(silences.standing)
    rows = [row for row in await read(rows_of.rows) if row.disabled_at is None]
    found = await read(lambda t: desk_deliveries.senders(t, [row.id for row in rows], at, HOURS))
    return [
        {"row": row, "last": one.last, "recent": one.recent, "silent": told.get(row.id)}
        for row, one in zip(rows, found, strict=True)
    ]


@needs("viewer")
async def deliveries(visit: Visit) -> Response:
    query = visit.request.query_params
    written = chosen.given(query)
    told, page = "", desk_deliveries.Page((), "")
    try:
        page = await visit.read(desk_deliveries.page, chosen.filters(written), below=query.get("below", ""))
    except chosen.NotUnderstood as error:
        told = str(error)
    return visit.page(
        "deliveries.html", 400 if told else 200, written=written, found=page, told=told, states=chosen.STATES,
        classes=chosen.CLASSES, providers=sorted(visit.service.providers),
    )  # fmt: skip


@needs("viewer")
async def delivery(visit: Visit) -> Response:
    id = visit.request.path_params["id"]
    found = await delivery_of(visit, id)
    if found is None:
        return visit.refused(404, "No such delivery", "It may have been removed after its time.")
    return visit.page("delivery.html", done=visit.request.query_params.get("done", ""), **found)


async def delivery_of(visit: Visit, id: str) -> dict[str, Any] | None:
    """Everything that is known of a delivery, secrets masked."""
    stored = await visit.service.journal.stored(id)
    if stored is None:
        return None
    lost = ""
    try:
        stored = await visit.service.journal.whole(stored)
    except PayloadLost as error:
        lost = str(error)
    attempts = await visit.read(stored_deliveries.outcomes_of, id)
    failures = await visit.read(stored_failures.listed, {"delivery": id, "resolved": True}, limit=500)
    original, edits = await visit.read(desk_edit.edits_of, id)
    revisions = {one.spec_hash: await visit.read(_revision, one.spec_hash) for one in attempts}
    body = "" if stored.body_sealed else stored.body.decode("utf-8", "backslashreplace")
    state = attempts[0].state if attempts else "in_flight"
    return {
        "stored": stored, "state": state, "lost": lost, "headers": [] if lost else orjson.loads(stored.headers),
        "body": body[:LONGEST_BODY], "cut": len(body) > LONGEST_BODY, "placeholder": PLACEHOLDER, "edits": edits,
        "original": original, "then": await visit.read(_then, id), "now": _revision_now(visit, stored.provider),
        "attempts": [
            {"row": one, "ids": orjson.loads(one.command_ids), "entities": orjson.loads(one.entities),
             "results": orjson.loads(one.results), "revision": revisions[one.spec_hash],
             "published": await visit.read(_published, id, one.attempt)}
            for one in attempts
        ],
        "failures": failures, "may_edit": not stored.quarantined and not stored.body_sealed and not lost,
        "guarded": state == "parked" and any(f.code == "snapshot_guard" and not f.resolved_at for f in failures),
    }  # fmt: skip


def _revision(transaction: Any, spec_hash: str) -> int | None:
    found: int | None = transaction.scalar(select(specs.c.revision).where(specs.c.hash == spec_hash))
    return found


def _then(transaction: Any, id: str) -> tuple[str, int | None] | None:
    """(hash, revision) of the file by which a delivery was first interpreted; revision None: it is not kept."""
    found = specs_of.then(transaction, id)
    return None if found is None else (found.spec_hash, _revision(transaction, found.spec_hash))


def _revision_now(visit: Visit, provider: str) -> int | None:
    loaded = visit.service.providers.get(provider)
    return None if loaded is None else loaded.interpreter.provider.revision


def _published(transaction: Any, id: str, attempt: int) -> Any:
    """When the last command of an attempt reached the bus; None while some wait, or where there were none."""
    p, o = published.c, outbox.c
    waits = transaction.scalar(select(o.id).where(o.delivery == id, o.attempt == attempt).limit(1))
    if waits is not None:
        return None
    return transaction.scalar(select(func.max(p.at)).where(p.delivery == id, p.attempt == attempt))


@needs("viewer")
async def failures(visit: Visit) -> Response:
    query = visit.request.query_params
    narrowed = {name: query.get(name, "").replace("\x00", "") for name in ("provider", "tenant", "cls")}
    groups = await visit.read(desk_groups.groups, **narrowed)
    return visit.page(
        "failures.html", groups=groups, because=chosen.because, cause_query=chosen.cause_query, narrowed=narrowed,
        classes=chosen.CLASSES, providers=sorted(visit.service.providers),
    )  # fmt: skip


@needs("viewer")
async def group(visit: Visit) -> Response:
    cause = chosen.cause(visit.request.query_params)
    found = await visit.read(desk_groups.group, cause)
    if found is None:
        return visit.refused(404, "Nothing is open of this cause", "Its failures are resolved.")
    sample = await visit.read(desk_groups.sample, cause)
    suggested: list[desk_mappings.Suggestion] = []
    if cause.cls == "mapping" and cause.external_id:
        suggested = await visit.read(desk_mappings.suggestions, cause.tenant, cause.kind, cause.external_id)
    table = await lookup_of(visit, cause, sample) if cause.kind == LOOKUP else None
    first = await visit.read(desk_groups.deliveries_of, cause, 10)
    return visit.page(
        "group.html", group=found, sample=sample, suggested=suggested, table=table,
        kept=desk_lookups.values_of(table), because=chosen.because,
        cause_query=chosen.cause_query(cause), first=first,
    )  # fmt: skip


async def lookup_of(visit: Visit, cause: desk_groups.Cause, sample: dict[str, Any]) -> desk_lookups.Table | None:
    """The table that a group's value is missing in; None where the provider file no longer has it."""
    loaded = visit.service.providers.get(cause.provider)
    if loaded is None or not sample:
        return None
    return desk_lookups.table_of(loaded.interpreter.provider, cause.feed, sample["rule"], cause.within, sample["place"])


@needs("viewer")
async def providers(visit: Visit) -> Response:
    found = [loaded.interpreter.provider for loaded in visit.service.providers.values()]
    return visit.page("providers.html", providers=found, counts=await visit.service.connection_counts())


@needs("viewer")
async def provider(visit: Visit) -> Response:
    loaded = visit.service.providers.get(visit.request.path_params["name"])
    if loaded is None:
        return visit.refused(404, "No such provider", "No file of that name is loaded.")
    service: Service = visit.service
    urls = urls_of(loaded.interpreter, service.settings.public_url, "CONNECTION")["feeds"]
    told = {
        name: {"url": urls[name], "curl": _curl(feed, urls[name]), "feed": feed}
        for name, feed in loaded.interpreter.provider.feeds.items()
    }
    return visit.page(
        "provider.html", provider=loaded.interpreter.provider, feeds=told, text=loaded.text,
        secrets=desk_secrets.names(loaded.interpreter),
    )  # fmt: skip


def _curl(feed: Any, url: str) -> str:
    """A request as one would send it by hand; the headers that sign it are those of `tiffin provider sign`."""
    kinds = {"json": "application/json", "form": "application/x-www-form-urlencoded", "xml": "application/xml",
             "csv": "text/csv", "ndjson": "application/x-ndjson"}  # fmt: skip
    accepted = next(iter(feed.formats), "")
    lines = [f"curl -X {feed.method} '{url}'"]
    if accepted:
        lines += [f"  -H 'Content-Type: {kinds.get(accepted, 'application/octet-stream')}'", "  --data-binary @body"]
    return " \\\n".join(lines)


@needs("viewer")
async def connections(visit: Visit) -> Response:
    return visit.page("connections.html", senders=await _senders(visit.service), all=await visit.read(rows_of.rows))


@needs("viewer")
async def connection(visit: Visit) -> Response:
    id = visit.request.path_params["id"]
    row = await row_of(visit, id)
    if row is None:
        return visit.refused(404, "No such connection", "See the list of connections.")
    return await connection_page(visit, row)


async def row_of(visit: Visit, id: str) -> Any:
    return next((row for row in await visit.read(rows_of.rows) if row.id == id), None)


async def connection_page(visit: Visit, row: Any, told: str = "", status: int = 200) -> Response:
    loaded = visit.service.providers.get(row.provider)
    waiting = await visit.read(desk_secrets.quarantined, row.id, row.provider, 1000)
    [sender] = await visit.read(desk_deliveries.senders, [row.id], now(), HOURS)
    silent = (await visit.read(silences.standing)).get(row.id)
    return visit.page(
        "connection.html", status, row=row, waiting=waiting, told=told, sender=sender, silent=silent,
        names=desk_secrets.names(loaded.interpreter) if loaded else [], done=visit.request.query_params.get("done", ""),
    )  # fmt: skip
