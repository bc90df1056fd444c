"""A file becomes a job, once it is on disk, hashed and known to be its sender's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.decoding.media_types import headers_of
from engine.failures import Failure
from engine.messages import Connection, Request
from flows.importing.sources import format_named, format_said, formats_of, obstacle
from flows.importing.spool import Incoming, job_id
from flows.journal import Journal
from flows.providers import LoadedProvider
from flows.sealing import sealed, secrecy_of
from stores import imports
from stores.imports import Job
from stores.writer import Work

_ZIP, _PARQUET = b"PK\x03\x04", b"PAR1"


class Unfit(Exception):
    """The file cannot become a job."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class QueueLong(Exception):
    """As many jobs wait as may."""


class Wanted(NamedTuple):
    """What a file is to become. `format` and `name` are "" where nobody said them."""

    loaded: LoadedProvider
    feed: str
    connection: Connection
    request: Request
    format: str
    name: str
    chunk_rows: int


def checked_format(wanted: Wanted, opening: bytes) -> str:
    """The format of a file: as said, by its name or by its first bytes. Raises Unfit."""
    interpreter, feed = wanted.loaded.interpreter, wanted.feed
    if (failure := obstacle(interpreter, feed)) is not None:
        raise Unfit(failure)
    headers = headers_of(wanted.request.headers)
    if headers.encoding not in ("", "gzip"):
        raise Unfit(_failure("content_encoding_unsupported", "Only gzip is expanded.", "Compress it with gzip."))
    accepted = formats_of(interpreter, feed)
    found = wanted.format or format_said(headers) or format_named(wanted.name)[0] or _seen(opening)
    if not found and len(accepted) == 1:
        found = accepted[0]
    if found not in accepted:
        raise Unfit(
            _failure(
                "content_type_unsupported",
                f"The feed takes no {found or 'file of an unknown format'}; it takes {', '.join(accepted) or 'none'}.",
                "Send the file in one of them, and say so in Content-Type or by the file's name.",
            )
        )
    if found in ("xlsx", "parquet") and not opening.startswith(_ZIP if found == "xlsx" else _PARQUET):
        raise Unfit(_failure(f"{found}_malformed", f"The file is no {found} file.", "Save and send it again."))
    return found


def _seen(opening: bytes) -> str:
    return "parquet" if opening.startswith(_PARQUET) else "xlsx" if opening.startswith(_ZIP) else ""


def _failure(code: str, message: str, next_step: str) -> Failure:
    return Failure("validation", code, message, next_step)


async def admit(
    journal: Journal,
    incoming: Incoming,
    wanted: Wanted,
    *,
    most: int,
    keep: Callable[[str], None],
    owned: Callable[[Job], Job] = lambda job: job,
) -> Job:
    """Makes the job. Raises Unfit, QueueLong and StoreUnavailable; then there is no job.

    `keep` makes the file durable under the id it is given, before the job stands; `owned` may take the job at once.
    """
    format = checked_format(wanted, incoming.opening)
    if await journal.read(imports.waiting) >= most:
        raise QueueLong
    provider = wanted.loaded.interpreter.provider
    stored = sealed(wanted.request, secrecy_of(provider), journal.seal)
    id = job_id(wanted.request.received_at)
    keep(id)
    job = Job(
        id=id,
        created_at=wanted.request.received_at,
        tenant=wanted.connection.tenant,
        provider=provider.provider,
        connection=wanted.connection.id,
        feed=wanted.feed,
        method=wanted.request.method,
        url=stored.url,
        headers=stored.headers,
        sealed=stored.sealed,
        peer=wanted.request.peer,
        format=format,
        name=wanted.name[:200],
        bytes=incoming.size,
        sha256=incoming.sha256,
        chunk_rows=wanted.chunk_rows,
    )
    job = owned(job)
    await journal.write(Work(imports.add, job))
    return job
