"""Import jobs over HTTP: how they do, as JSON and as server-sent events; their failed rows; their end.

A job's id holds 128 random bits: who holds it may read it, as with receipts. The list, and cancelling, want the
admin key.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from flows.importing.failed_rows import report
from flows.importing.progress import is_open, progress
from flows.service import Service
from server.problem_documents import problem
from stores import audit, imports
from stores.imports import Job
from stores.writer import Work

LISTENERS = 100
"""So many may follow jobs at once; the next one is told to come again."""
_POLL_SECONDS = 0.5
_STILL_SECONDS = 15.0
_ID = re.compile(r"[0-9a-f]{44}\Z")
_listening: set[object] = set()


async def listed(request: Request) -> Response:
    service: Service = request.app.state.service
    jobs = await service.journal.read(imports.listed)
    return JSONResponse({"jobs": [progress(job, service.settings.public_url) for job in jobs]})


async def one(request: Request) -> Response:
    service: Service = request.app.state.service
    job = await _found(request)
    return _unknown() if job is None else JSONResponse(progress(job, service.settings.public_url))


async def events(request: Request) -> Response:
    """An event `progress` whenever something has changed, and `ended` at the end."""
    if await _found(request) is None:
        return _unknown()
    if len(_listening) >= LISTENERS:
        return problem(503, "busy", "Too many follow jobs; ask for the job instead.", {"retry-after": "5"})
    return StreamingResponse(_followed(request), media_type="text/event-stream")


async def _followed(request: Request) -> AsyncIterator[bytes]:
    service: Service = request.app.state.service
    me = object()
    _listening.add(me)
    try:
        last, still = b"", 0.0
        while True:
            job = await _found(request)
            if job is None:
                return
            told = orjson.dumps(progress(job, service.settings.public_url))
            if told != last or still >= _STILL_SECONDS:
                yield b"event: %s\ndata: %s\n\n" % (b"progress" if is_open(job) else b"ended", told)
                last, still = told, 0.0
            if not is_open(job):
                return
            await asyncio.sleep(_POLL_SECONDS)
            still += _POLL_SECONDS
    finally:
        _listening.discard(me)


async def failures(request: Request) -> Response:
    """The failed rows as CSV, as far as the job has come."""
    job = await _found(request)
    if job is None:
        return _unknown()
    headers = {"content-disposition": f'attachment; filename="failed-{job.id}.csv"'}
    return StreamingResponse(_lines(request, job), media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(request: Request, job: Job) -> AsyncIterator[str]:
    service: Service = request.app.state.service
    yield "".join(report(()))
    after = 0
    while after < job.chunks:
        found, after = await service.journal.read(lambda t, at=after: imports.failures_of(t, job, at))  # type: ignore[misc]
        yield "".join(report(found, header=False))


async def cancel(request: Request) -> Response:
    service: Service = request.app.state.service
    job = await _found(request)
    if job is None:
        return _unknown()
    now = datetime.now(UTC)
    if not await service.journal.write(Work(imports.ask_to_cancel, job.id, now)):
        return problem(409, "job_ended", "The job has ended.")
    await service.journal.write(Work(audit.append, now, "http", "import.cancel", job.id, ""))
    return JSONResponse(progress(await _found(request) or job, service.settings.public_url), 202)


async def _found(request: Request) -> Job | None:
    service: Service = request.app.state.service
    wanted = request.path_params["id"]
    if not _ID.match(wanted):
        return None
    return await service.journal.read(lambda transaction: imports.get(transaction, wanted))


def _unknown() -> Response:
    return problem(404, "job_unknown", "There is no job with this id.")


ROUTES = [
    Route("/v1/imports", listed, methods=["GET"]),
    Route("/v1/imports/{id}", one, methods=["GET"]),
    Route("/v1/imports/{id}/events", events, methods=["GET"]),
    Route("/v1/imports/{id}/failures.csv", failures, methods=["GET"]),
    Route("/v1/imports/{id}/cancel", cancel, methods=["POST"]),
]
