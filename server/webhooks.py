"""The webhook URLs, as a bare ASGI function: this is the hot path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from engine.messages import Reply, Request
from flows.journal import StoreUnavailable
from flows.logging import logger
from flows.metrics import Metrics
from flows.receive import Receiver, Target, Unrouted
from flows.sealing import query_pairs
from server.bodies import Body, BodyRefused, declared_length, discard
from server.files import Files
from server.peers import peer_reader
from server.problem_documents import problem_body

PREFIX = "/v1/integrations/"
FAMILIES = frozenset({"pos", "erp", "seller", "admin"})
DISCARD_SECONDS = 2.0
_SHORT = 200
"""Paths below so many characters are remembered with their target."""
_CLOSE = ("connection", "close")
_PROBLEM = ("content-type", "application/problem+json")
_UNPRINTABLE = dict.fromkeys((*range(32), 127), " ")

_log = logger("tiffin.webhooks")


class Address(NamedTuple):
    """What a webhook's URL says; `connection` is "" where it names none."""

    family: str
    provider: str
    connection: str
    tail: str


def address_of(path: str) -> Address | None:
    """Reads a path that starts with PREFIX; None where no URL family has this shape."""
    parts = path[len(PREFIX) :].split("/", 3)
    if len(parts) < 3 or parts[0] not in FAMILIES:
        return None
    family, provider, marker = parts[:3]
    rest = parts[3] if len(parts) == 4 else ""
    if marker == "webhooks" and rest:
        return Address(family, provider, "", rest)
    if marker == "import" and family == "seller" and len(parts) == 3:
        return Address(family, provider, "", "import")
    if marker == "c":
        connection, _, tail = rest.partition("/")
        return Address(family, provider, connection, tail) if connection and tail else None
    return None


class Webhooks:
    """Serves every path under PREFIX. A Request's `url` is `public_url`, with path and query as received."""

    def __init__(
        self,
        receiver: Receiver,
        metrics: Metrics,
        *,
        public_url: str,
        trusted_proxies: Sequence[str],
        body_timeout: float,
        files: Files | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._receiver, self._metrics, self._clock = receiver, metrics, clock
        self._public_url, self._body_timeout = public_url, body_timeout
        self._files = files
        self._peer = peer_reader(trusted_proxies)
        self._known = lru_cache(1024)(self._find)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            target = self._target(scope)
        except Unrouted as unrouted:
            self._metrics.refused(unrouted.reason)
            await _send(send, _unrouted_reply(unrouted))
            return
        try:
            await self._serve(target, scope, receive, send)
        except Exception:
            # Nothing was acknowledged: the sender is asked to come again.
            _log.exception("webhook_failed", provider=target.provider.interpreter.provider.provider)
            await _send(send, self._receiver.refused(target, "unavailable"))

    def _target(self, scope: Scope) -> Target:
        path, method = scope["path"], scope["method"]
        known = self._known if len(path) < _SHORT else self._find
        return known(path, method, self._receiver.generation)

    def _find(self, path: str, method: str, _generation: int) -> Target:
        address = address_of(path)
        if address is None:
            raise Unrouted("unknown_feed")
        return self._receiver.target(address.family, address.provider, address.connection, method, address.tail)

    async def _serve(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        declared = declared_length(scope)
        body = Body(self._receiver.gate, target.most)
        try:
            if wait := self._too_fast(target, scope):
                raise BodyRefused("rate_limited", wait)
            if self._files is not None and self._files.takes(target, scope, declared):
                reply = await self._file(self._files, target, scope, receive, declared)
                await _send(send, reply)
                return
            if declared is not None:
                body.reserve(declared)
            if not self._receiver.has_room(declared or 0):
                raise BodyRefused("busy")
            received = await body.read(receive, declared, self._body_timeout)
            reply = await self._receiver.receive(target, self._request(scope, received))
        except BodyRefused as refused:
            body.release()
            await self._refuse(target, refused, receive, send)
            return
        except Unrouted as unrouted:
            self._metrics.refused(unrouted.reason)
            reply = _unrouted_reply(unrouted)
        finally:
            body.release()
        await _send(send, reply)

    async def _file(self, files: Files, target: Target, scope: Scope, receive: Receive, declared: int | None) -> Reply:
        """The answer to what may be a file. Raises BodyRefused."""
        try:
            taken = await files.take(target, self._request(scope, b""), receive, declared)
        except StoreUnavailable:
            return self._receiver.refused(target, "unavailable")
        if isinstance(taken, Reply):
            return taken
        return await self._receiver.receive(target, self._request(scope, taken))

    def _too_fast(self, target: Target, scope: Scope) -> float:
        """How many seconds whoever sends this has to wait, as far as that can be told before the body is read."""
        limits = self._receiver.limits
        wait = limits.address(self._caller(scope, tuple(scope["headers"]))) if limits.by_address else 0.0
        if wait or not limits.any_connection:
            return wait
        named = target.connection
        if not named and b"connection=" in scope["query_string"]:
            query = query_pairs(scope["query_string"].decode("latin-1"))
            named = next((value for name, value in query if name == "connection"), "")
        return limits.named(named) if named else 0.0

    def _caller(self, scope: Scope, headers: tuple[tuple[bytes, bytes], ...]) -> str:
        client = scope.get("client")
        return self._peer(client[0] if client else "", headers)

    def _request(self, scope: Scope, body: bytes) -> Request:
        query: str = scope["query_string"].decode("latin-1")
        path: str = scope["raw_path"].decode("latin-1")
        headers = tuple(scope["headers"])
        return Request(
            scope["method"],
            f"{self._public_url}{path}?{query}" if query else self._public_url + path,
            scope["path"],
            query_pairs(query),
            headers,
            body,
            self._caller(scope, headers),
            self._clock(),
        )

    async def _refuse(self, target: Target, refused: BodyRefused, receive: Receive, send: Send) -> None:
        if refused.reason == "hung_up":
            self._metrics.refused("hung_up")
            return
        if refused.reason == "busy":
            reply = self._receiver.refused(target, "busy")
        elif refused.reason == "rate_limited":
            reply = self._receiver.limited(target, refused.wait)
        else:
            self._metrics.refused(refused.reason)
            reply = _body_reply(refused.reason, target.most)
        reply = Reply(reply.status, (*reply.headers, _CLOSE), reply.body)
        await _send(send, reply, more=True)
        await discard(receive, 2 * target.most, DISCARD_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _body_reply(reason: str, most: int) -> Reply:
    if reason == "too_large":
        document = problem_body(413, "body_too_large", f"The body may have at most {most} bytes.")
        return Reply(413, (_PROBLEM,), document)
    return Reply(408, (_PROBLEM,), problem_body(408, "body_timeout", "The body did not arrive in time."))


def _unrouted_reply(unrouted: Unrouted) -> Reply:
    if unrouted.methods:
        document = problem_body(405, "method_not_allowed", "Another method is expected here.")
        return Reply(405, (_PROBLEM, ("allow", ", ".join(sorted(set(unrouted.methods))))), document)
    detail = "No feed has this URL."
    if unrouted.reason == "no_handshake":
        detail = "The request is no handshake that is expected at this URL."
    return Reply(404, (_PROBLEM,), problem_body(404, unrouted.reason, detail))


@lru_cache(1024)
def _wire_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _wire_value(value: str) -> bytes:
    return (value if value.isprintable() else value.translate(_UNPRINTABLE)).encode("latin-1", "replace")


async def _send(send: Send, reply: Reply, more: bool = False) -> None:
    bodiless = reply.status in (204, 304) or reply.status < 200
    headers = [(_wire_name(name), _wire_value(value)) for name, value in reply.headers]
    headers.append((b"x-content-type-options", b"nosniff"))
    if not bodiless:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bodiless else reply.body, "more_body": more})
