"""Replaying sets: what would be replayed, the job that does it, how far it is, and its end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
from starlette.responses import RedirectResponse, Response

from flows.desk_jobs import AS, FASTEST, MOST, RATE, SILENT, Jobs
from server.desk import filters as chosen
from server.desk.sessions import Visit, needs, now
from stores import desk_deliveries, desk_groups, desk_jobs, specs

_SHOWN = 10


async def _chosen(visit: Visit, given: Any) -> tuple[list[str], dict[str, Any]]:
    """The deliveries that a query string or a form chooses, and what it says. Raises NotUnderstood."""
    if given.get("cls") and given.get("code"):
        cause = chosen.cause(given)
        return await visit.read(desk_groups.deliveries_of, cause, MOST + 1), {"cause": chosen.cause_query(cause)}
    if ids := [str(one)[:100].replace("\x00", "") for one in given.getlist("delivery")]:
        return sorted(set(ids)), {"deliveries": len(set(ids))}
    written = chosen.given(given)
    if not written:
        raise chosen.NotUnderstood("Choose deliveries by a filter first: everything at once is nobody's wish.")
    found = await visit.read(lambda t: list(desk_deliveries.chosen_ids(t, chosen.filters(written), MOST + 1)))
    return found, {"filters": written}


@needs("support")
async def preview(visit: Visit) -> Response:
    try:
        ids, what = await _chosen(visit, visit.request.query_params)
    except chosen.NotUnderstood as error:
        return visit.refused(400, "Nothing chosen", str(error))
    lines = await visit.read(desk_deliveries.lines, ids[:1000])
    used = await visit.read(specs.used, ids[:1000])
    return visit.page(
        "replay.html", count=len(ids), most=MOST, states=Counter(one.state for one in lines), counted=len(lines),
        lines=lines[:_SHOWN], fields=visit.request.query_params.multi_items(), what=what, rate=RATE, fastest=FASTEST,
        used=used, now=_revisions(visit, {one.provider for one in lines}),
    )  # fmt: skip


def _revisions(visit: Visit, providers: set[str]) -> list[tuple[str, int]]:
    """(provider, revision) of the files that are loaded now."""
    loaded = {name: visit.service.providers.get(name) for name in sorted(providers)}
    return [(name, one.interpreter.provider.revision) for name, one in loaded.items() if one is not None]


@needs("support")
async def begin(visit: Visit) -> Response:
    why = visit.field("why")
    try:
        ids, what = await _chosen(visit, visit.form)
        rate = int(visit.field("rate") or RATE)
    except chosen.NotUnderstood as error:
        return visit.refused(400, "Nothing chosen", str(error))
    except ValueError:
        return visit.refused(400, "No rate", "The rate is a whole number of deliveries a second.")
    if not why:
        return visit.refused(400, "No reason", "Say why it is replayed: the audit keeps it.")
    if not ids or len(ids) > MOST or not 1 <= rate <= FASTEST:
        return visit.refused(400, "Not a job", f"A job has 1 to {MOST} deliveries, at 1 to {FASTEST} a second.")
    id = await jobs_of(visit).begin(ids, visit.session.who, why, what, rate, visit.field("as") == "then")
    return RedirectResponse(f"/desk/jobs/{id}", 303)


def jobs_of(visit: Visit) -> Jobs:
    found: Jobs = visit.request.app.state.jobs
    return found


@needs("viewer")
async def listed(visit: Visit) -> Response:
    return visit.page("jobs.html", jobs=await visit.read(desk_jobs.listed))


@needs("viewer")
async def show(visit: Visit) -> Response:
    id = visit.request.path_params["id"]
    job = await visit.read(desk_jobs.get, id)
    if job is None:
        return visit.refused(404, "No such job", "See the list of jobs.")
    stands = job.state == "cancelled" or (job.state != "done" and now() - job.seen_at > SILENT)
    as_then = orjson.loads(job.what).get(AS) == "then"
    return visit.page(
        "job.html", job=job, as_then=as_then, stands=stands, unsettled=await visit.read(desk_jobs.unsettled, id)
    )


@needs("support")
async def cancel(visit: Visit) -> Response:
    id = visit.request.path_params["id"]
    await visit.write(desk_jobs.cancel, id, visit.session.who, now())
    return RedirectResponse(f"/desk/jobs/{id}", 303)


@needs("support")
async def resume(visit: Visit) -> Response:
    id = visit.request.path_params["id"]
    await jobs_of(visit).resume(id, visit.session.who)
    return RedirectResponse(f"/desk/jobs/{id}", 303)
