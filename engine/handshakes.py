"""Handshakes: requests that prove an address, and are no deliveries.

A request is a handshake when its URL, method, media type and size fit and `when` is true; nothing else is
tried on it, and what does not fit is left to the feed. What comes back from a stranger's request is bounded
and holds no control characters.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from engine import decoding
from engine.decoding.media_types import FORM, MEDIA_TYPES, headers_of
from engine.failures import Failure, Refusal
from engine.jsonata import EngineName, JsonataError, Limits, Program
from engine.messages import Connection, Reply, Request
from engine.model import Handshake, HandshakeHash, HashPart, Provider, SecretPart, Shown, ShownUrl
from engine.model import Limits as FeedLimits
from engine.reading import as_text
from engine.recipes import bytes_to_sign
from engine.replies import typed
from engine.reply_bodies import JSON, Body, Unrenderable
from engine.request_parts import PartError, RequestParts
from engine.routes import Route
from engine.signature_values import Malformed, Signed, encode

BODY_LIMIT = 65_536
"""The most bytes of a handshake's body; a longer one is none."""
TEXT_LIMIT = 1024
"""The most characters of a text that is answered, and of a value that is shown."""
REPLY_LIMIT = 65_536
"""The most bytes of any answer to a handshake."""

_BOUNDS = FeedLimits.model_validate({})
_BEFORE_AUTH = Limits(timeout=0.25, max_steps=500_000, max_string_length=200_000, max_result_size=1_000_000)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Shaken(NamedTuple):
    """What a handshake comes to: the answer, and what the operator must see."""

    reply: Reply
    shown: Mapping[str, str]


class CompiledHandshake:
    """A handshake with everything that can be prepared."""

    def __init__(self, name: str, handshake: Handshake, provider: Provider, engine: EngineName) -> None:
        self.name, self.handshake = name, handshake
        self.route = Route(handshake.path) if handshake.path is not None else None
        self._when = Program(handshake.when.text, engine)
        self._connection = Program(provider.connection.text, engine) if provider.connection else None
        self._show = {key: (shown, Program(_expression(shown), engine)) for key, shown in handshake.show.items()}
        self._body = Body(handshake.reply, engine)

    def met(self, request: Request) -> bool:
        """Whether a request at its URL is this handshake. Never raises."""
        try:
            document = self._document(request)
            found = self._when.evaluate(document, {"request": self._routed(request).bindings}, _BEFORE_AUTH)
        except (Refusal, JsonataError):
            return False
        return found is True

    def connection_key(self, request: Request) -> str | None:
        """What the file's `connection:` says of it. Never raises."""
        if self._connection is None:
            return None
        try:
            bindings = {"request": self._routed(request).bindings}
            return as_text(self._connection.evaluate(self._document(request), bindings, _BEFORE_AUTH))
        except (Refusal, JsonataError):
            return None

    def shake(self, request: Request, connection: Connection | None, urls: Mapping[str, Any]) -> Shaken:
        """The answer to a request that is `met`. Raises Refusal where it cannot be answered."""
        request = self._routed(request)
        document = self._document(request)
        bindings: dict[str, Any] = {"request": request.bindings}
        shown = {key: self._shown(key, document, bindings) for key in self._show}
        bindings["settings"] = dict(connection.settings) if connection else {}
        bindings["urls"] = dict(urls)
        if self.handshake.hash is not None:
            bindings["hash"] = hashed(self.handshake.hash, request, connection)
        return Shaken(self._reply(document, bindings), shown)

    def _routed(self, request: Request) -> Request:
        return self.route.routed(request) if self.route else request

    def _document(self, request: Request) -> Any:
        """Raises Refusal where the media type or the body is not the handshake's."""
        headers = headers_of(request.headers)
        if len(request.body) > BODY_LIMIT or headers.encoding:
            raise _unlike("The body is too long or compressed.")
        expected, wanted = self.handshake.format, self.handshake.content_type
        if expected == "none":
            if request.body:
                raise _unlike("It has a body.")
            return {}
        if headers.media_type != wanted.lower() if wanted else not _is(expected, headers.media_type):
            raise _unlike("Its Content-Type is another one.")
        return decoding.FORMATS[expected](decoding.Body(request.body, headers.charset, None, _BOUNDS, BODY_LIMIT))

    def _shown(self, key: str, document: Any, bindings: dict[str, Any]) -> str:
        shown, program = self._show[key]
        try:
            value = as_text(program.evaluate(document, bindings, _BEFORE_AUTH))
        except JsonataError:
            value = None
        if value is None or len(value) > TEXT_LIMIT or _CONTROLS.search(value):
            raise _unanswerable(
                f"What is to be shown as {key} is no text of at most {TEXT_LIMIT} characters without controls."
            )
        if isinstance(shown, ShownUrl) and not host_allowed(value, shown.hosts):
            raise _unanswerable(f"What is to be shown as {key} is no https address of {' or '.join(shown.hosts)}.")
        return value

    def _reply(self, document: Any, bindings: dict[str, Any]) -> Reply:
        spec = self.handshake.reply
        try:
            written = self._body.write(document, bindings, _BEFORE_AUTH)
        except Unrenderable:
            raise _unanswerable("The answer cannot be made of what was sent.") from None
        if written is None:
            return Reply(spec.status, tuple(spec.headers.items()), b"")
        kind, body = written
        if spec.text is not None and (len(body) > TEXT_LIMIT or _CONTROLS.search(body.decode())):
            raise _unanswerable(f"The text to answer is longer than {TEXT_LIMIT} bytes, or holds controls.")
        if len(body) > REPLY_LIMIT:
            raise _unanswerable(f"The answer is longer than {REPLY_LIMIT} bytes.")
        return Reply(spec.status, typed(kind, tuple(spec.headers.items())), body)


class Handshakes:
    """The handshakes of a provider file, by name."""

    def __init__(self, provider: Provider, engine: EngineName) -> None:
        self.by_name = {
            name: CompiledHandshake(name, handshake, provider, engine)
            for name, handshake in provider.handshakes.items()
        }

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def at(self, method: str, tail: str, of_a_feed: bool) -> tuple[str, ...]:
        """Those that a method at the last part of a URL may be; `of_a_feed`: a feed has this URL."""
        return tuple(
            name
            for name, one in self.by_name.items()
            if one.handshake.method == method and (one.route.matches(tail) if one.route else of_a_feed)
        )

    def methods_of(self, tail: str, of_a_feed: bool) -> tuple[str, ...]:
        found = {one.handshake.method for one in self.by_name.values()}
        return tuple(method for method in sorted(found) if self.at(method, tail, of_a_feed))

    def met(self, names: Iterable[str], request: Request) -> str | None:
        """The first of these that a request is."""
        return next((name for name in names if self.by_name[name].met(request)), None)


def secret_names_of(provider: Provider) -> set[str]:
    """The secrets of a connection that handshakes are answered with."""
    found: set[str] = set()
    for hash_ in (one.hash for one in provider.handshakes.values()):
        if hash_ is not None:
            found |= {part.secret for part in hash_.of if isinstance(part, SecretPart)}
            found |= {hash_.key} if hash_.key is not None else set()
    return found


def hashed(spec: HandshakeHash, request: Request, connection: Connection | None) -> str:
    """The hash, or with `key` the HMAC (RFC 2104), of the parts. Raises Refusal where one of them is missing."""
    parts = RequestParts(request)
    try:
        content = b"".join([_bytes_of(part, parts, connection) for part in spec.of])
    except (PartError, Malformed) as error:
        raise _unanswerable(str(error)) from None
    if spec.key is None:
        digest = hashlib.new(spec.algorithm, content).digest()
    else:
        digest = hmac.digest(_secret(spec.key, connection), content, spec.algorithm)
    return encode(digest, spec.encoding)


def _bytes_of(part: HashPart, parts: RequestParts, connection: Connection | None) -> bytes:
    if isinstance(part, SecretPart):
        return _secret(part.secret, connection)
    if part == "endpoint":
        return parts.request.url.partition("?")[0].encode("utf-8", "surrogatepass")
    return bytes_to_sign((part,), parts, Signed(()))


def _secret(name: str, connection: Connection | None) -> bytes:
    values = connection.secrets.get(name) if connection else None
    if not values or not values[0]:
        raise _unanswerable(
            f"The connection's secret {name} is needed, and not known.",
            "Give the URL of the connection, and give it the secret: tiffin connection rotate ID --secret NAME=…",
        )
    return values[0]


def host_allowed(url: str, hosts: Iterable[str]) -> bool:
    """Whether an https URL without credentials or port names one of the hosts; `*` stands for one label."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = parts.scheme == "https" and "@" not in parts.netloc and port in (None, 443) and "\\" not in url
    return plain and url.isascii() and " " not in url and any(_host_fits(host, pattern) for pattern in hosts)


def _host_fits(host: str, pattern: str) -> bool:
    labels, wanted = host.split("."), pattern.lower().split(".")
    return len(labels) == len(wanted) and all(want in (label, "*") for label, want in zip(labels, wanted, strict=True))


def _is(expected: str, media_type: str) -> bool:
    if expected == "form":
        return media_type == FORM
    return media_type.endswith("+json") or MEDIA_TYPES.get(media_type) == expected


def _expression(shown: Shown) -> str:
    return shown.from_.text if isinstance(shown, ShownUrl) else shown.text


def _unlike(message: str) -> Refusal:
    return Refusal(Failure("validation", "handshake_not_met", message, "Send it as the provider file expects it."))


def _unanswerable(message: str, next_step: str = "Compare what was sent with the handshake's reply.") -> Refusal:
    return Refusal(Failure("validation", "handshake_unanswerable", message, next_step))


def refusal_reply(failure: Failure) -> Reply:
    """The answer to a handshake that cannot be answered as the file says. It quotes nothing that was sent."""
    return Reply(400, (JSON,), orjson.dumps({"verdict": "handshake_refused", "problem": failure.to_json()}))
