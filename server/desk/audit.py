"""The audit: its newest entries, and all of it as a file that `tiffin audit verify --against` takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection
from starlette.responses import Response, StreamingResponse

from flows.service import Service
from server.desk.sessions import Visit, needs, now
from stores import audit as audits

_SHOWN = 200
_AT_ONCE = 500


@needs("viewer")
async def listed(visit: Visit) -> Response:
    return visit.page("audit.html", entries=await visit.read(audits.entries, _SHOWN))


@needs("admin")
async def export(visit: Visit) -> Response:
    """One JSON object a line, the oldest entry first. That it was exported is an entry too, the last of the file."""
    given = visit.field("since")
    try:
        since = datetime.fromisoformat(given) if given else None
    except ValueError:
        return visit.refused(400, "Not understood", "“Since” is no time: write 2026-01-31T17:00, in UTC.")
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    told = {"since": since.isoformat() if since else ""}
    await visit.write(audits.append, now(), visit.session.who, "audit.export", "desk", visit.field("why"), told)
    [newest] = await visit.read(audits.entries, 1)
    name = f"audit-{now():%Y%m%dT%H%M%SZ}.jsonl"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_lines(visit.service, since, newest.id), 200, headers, "application/x-ndjson")


def _some(after: int, last: int, since: datetime | None, transaction: Connection) -> list[audits.Entry]:
    return audits.following(transaction, after, last, since, _AT_ONCE)


async def _lines(service: Service, since: datetime | None, last: int) -> AsyncIterator[bytes]:
    """A few at a time, so that a long audit neither fills the memory nor holds a transaction open."""
    after = 0
    while found := await service.journal.read(partial(_some, after, last, since)):
        yield "".join(f"{audits.to_line(one)}\n" for one in found).encode()
        after = found[-1].id
