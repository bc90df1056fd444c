"""Files that are too large to be held: written to disk as they come, verified, then made import jobs.

A request goes this way where its feed is posted to as `import` and its body is above the feed's limit, or has no
declared length, or its sender asks for it (Prefer: respond-async, RFC 7240), or it is Parquet.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.types import Receive, Scope

from engine.decoding.media_types import headers_of
from engine.failures import Failure, Unauthorized
from engine.messages import Connection, Reply, Request
from engine.streamed_bodies import verifiable
from flows.connections import candidates, verified
from flows.importing.intake import QueueLong, Unfit, Wanted, admit
from flows.importing.progress import progress
from flows.importing.sources import PARQUET, formats_of, obstacle
from flows.importing.spool import Incoming
from flows.receive import DELIVERY_HEADER, Target
from flows.service import Service
from server.bodies import BodyRefused
from server.problem_documents import problem_body

AT_ONCE = 4
"""So many files may be on their way in; the next one is told to come again."""
_BLOCK = 1 << 20
_STATUS = {"content_type_unsupported": 415, "content_encoding_unsupported": 415}
_JSON = ("content-type", "application/json")
_PROBLEM = ("content-type", "application/problem+json")


class Files:
    """Takes in files for one service."""

    def __init__(self, service: Service) -> None:
        self._service, self._settings = service, service.settings
        self._coming = 0
        self._able: dict[tuple[int, str], bool] = {}

    def takes(self, target: Target, scope: Scope, declared: int | None) -> bool:
        """Whether a request may be more than fits into memory."""
        if not target.feed or not self._is_able(target):
            return False
        if declared is not None and declared > target.most:
            return True
        headers = dict(scope["headers"])
        if declared is None:
            return b"transfer-encoding" in headers
        asked = b"respond-async" in headers.get(b"prefer", b"").lower()
        return asked or headers_of(tuple(scope["headers"])).media_type == PARQUET

    def _is_able(self, target: Target) -> bool:
        key = (id(target.provider), target.feed)
        if key not in self._able:
            interpreter, feed = target.provider.interpreter, target.feed
            self._able[key] = (
                interpreter.feeds[feed].path == "import"
                and interpreter.feeds[feed].feed.method == "POST"
                and verifiable(interpreter.auth_of(feed))
                and obstacle(interpreter, feed) is None
                and bool(formats_of(interpreter, feed))
            )
        return self._able[key]

    async def take(self, target: Target, request: Request, receive: Receive, declared: int | None) -> Reply | bytes:
        """The answer; or the body, where it is none too large after all. Raises BodyRefused and StoreUnavailable."""
        most = self._settings.import_bytes
        if declared is not None and declared > most:
            raise BodyRefused("too_large")
        if self._coming >= AT_ONCE:
            raise BodyRefused("busy")
        found = candidates(
            await self._service.directory.current(), target.provider.interpreter, target.feed, request,
            target.connection,
        )  # fmt: skip
        self._coming += 1
        try:
            with self._service.importer.spool.incoming() as incoming:
                await self._written(incoming, receive, most)
                if declared is None and incoming.size <= target.most and not _asked(request):
                    return b"".join(incoming.blocks())
                return await self._taken(target, request, incoming, found)
        finally:
            self._coming -= 1

    async def _written(self, incoming: Incoming, receive: Receive, most: int) -> None:
        """Raises BodyRefused where it is too large, breaks off, or stands still for too long."""
        held, more = bytearray(), True
        while more:
            try:
                message = await asyncio.wait_for(receive(), self._settings.body_timeout)
            except TimeoutError:
                raise BodyRefused("body_timeout") from None
            if message["type"] == "http.disconnect":
                raise BodyRefused("hung_up")
            held += message.get("body", b"")
            more = message.get("more_body", False)
            if incoming.size + len(held) > most:
                raise BodyRefused("too_large")
            if len(held) >= _BLOCK or not more:
                await asyncio.to_thread(incoming.write, bytes(held))
                held.clear()

    async def _taken(
        self, target: Target, request: Request, incoming: Incoming, found: tuple[Connection, ...]
    ) -> Reply:
        service, interpreter = self._service, target.provider.interpreter
        # While it is verified, the file stands in the body's place.
        shown = dataclasses.replace(request, body=incoming)  # type: ignore[arg-type]
        try:
            connection = await asyncio.to_thread(verified, interpreter, target.feed, found, shown)
        except Unauthorized as refusal:
            return self._unauthorized(target, found, refusal.failure)
        if wait := service.receiver.limits.connection(connection):
            raise BodyRefused("rate_limited", wait)
        wanted = Wanted(
            target.provider, target.feed, connection, request, "", _file_name(request), self._settings.import_chunk
        )
        try:
            job = await admit(
                service.journal,
                incoming,
                wanted,
                most=self._settings.import_jobs,
                keep=incoming.keep,
            )
        except Unfit as unfit:
            return _refused(unfit.failure)
        except QueueLong:
            raise BodyRefused("busy") from None
        service.importer.wake()
        told = progress(job, self._settings.public_url)
        headers = (_JSON, ("location", told["links"]["self"]), (DELIVERY_HEADER, job.id))
        return Reply(202, headers, orjson.dumps(told))

    def _unauthorized(self, target: Target, found: tuple[Connection, ...], failure: Failure) -> Reply:
        """A file that does not verify is not kept, as smaller requests are: it is as large as a stranger likes."""
        service, interpreter = self._service, target.provider.interpreter
        if found:
            service.metrics.answered(interpreter.provider.provider, target.feed, "unauthorized")
            service.metrics.failed(interpreter.provider.provider, target.feed, "auth")
        else:
            service.metrics.refused("unknown_connection")
        return interpreter.reply(target.feed, "unauthorized", failure=failure, urls=_no_urls)


def _no_urls() -> Mapping[str, Any]:
    return {}


def _asked(request: Request) -> bool:
    return any("respond-async" in value.lower() for value in request.header_values("prefer"))


def _file_name(request: Request) -> str:
    """What Content-Disposition calls the file, "" where nothing does."""
    for value in request.header_values("content-disposition"):
        for part in value.split(";")[1:]:
            name, _, given = part.strip().partition("=")
            if name.lower() == "filename":
                return unquote(given.strip('"')).replace("/", "_")
    return ""


def _refused(failure: Failure) -> Reply:
    status = _STATUS.get(failure.code, 422)
    document = orjson.loads(problem_body(status, failure.code, failure.message))
    document.update({"class": failure.cls, "next_step": failure.next_step, "facts": failure.facts})
    return Reply(status, (_PROBLEM,), orjson.dumps(document))
