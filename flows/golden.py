"""Golden cases: folders that hold one delivery or handshake each, as it would come in over HTTP.

`<root>/<provider>/<feed or handshake>/<what_it_shows>/` has `body.*` (the exact bytes; none: no body),
`request.yaml` and, where the provider's own `context.yaml` does not hold, a `context.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from engine.interpreter import Interpreter
from engine.messages import Connection, Ref, Request
from engine.replies import plain
from engine.routes import Route
from engine.yaml12 import compose
from flows.urls import path_at

RECEIVED_AT = "2026-02-03T09:00:00Z"
PUBLIC_URL = "https://tiffin.example"
PEER = "203.0.113.7"


@dataclass(frozen=True)
class Context:
    """What stands before a delivery: its connection, the mappings, and what a question finds under `$view`."""

    connection: Connection
    mappings: Mapping[Ref, str]
    views: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One request of a folder, to a feed or a handshake, which `feed` names. `again` is how often it is sent once
    more; `why` says what it shows; `params` are the values of the path's placeholders."""

    name: str
    provider: str
    feed: str
    request: Request
    context: Context
    again: int
    signs: bool
    why: str
    params: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name

    def signed(self, interpreter: Interpreter) -> Request:
        """The request with what the provider's auth asks for; a handshake that comes unsigned as it stands."""
        shaken = interpreter.provider.handshakes.get(self.feed)
        if not self.signs or (shaken is not None and shaken.auth == "none"):
            return self.request
        return with_signature(interpreter, self.feed, self.request, self.context.connection)

    def sent_through(self, interpreter: Interpreter, connection: str, public_url: str, at: datetime) -> Case:
        """The case as it is sent to a server at a time, at the URL of a connection."""
        path = webhook_path(interpreter, self.feed, connection, self.params)
        url = url_of(public_url, path, self.request.query)
        return replace(self, request=replace(self.request, path=path, url=url, received_at=at))


def url_of(public_url: str, path: str, query: tuple[tuple[str, str], ...]) -> str:
    """The URL of a decoded path with its query."""
    url = public_url + quote(path, safe="/{}")
    return f"{url}?{urlencode(query)}" if query else url


def with_signature(interpreter: Interpreter, feed: str, request: Request, connection: Connection) -> Request:
    """The request with the headers that the feed's auth asks for, made with the connection's secrets."""
    # Its libraries take as long to import as all the rest, and a trial without secrets signs nothing.
    from engine.signing import sign

    made = sign(interpreter.auth_of(feed), request, connection.secrets)
    added = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in made)
    return replace(request, headers=request.headers + added)


def cases(root: Path, interpreters: Mapping[str, Interpreter]) -> Iterator[Case]:
    """Every case of the providers given, in order of provider, feed and name."""
    for file in sorted(root.glob("*/*/*/request.yaml")):
        folder = file.parent
        feed, provider = folder.parent.name, folder.parent.parent.name
        interpreter = interpreters.get(provider)
        if interpreter is None or (feed not in interpreter.feeds and feed not in interpreter.handshakes):
            continue
        said = read_yaml(file)
        own = folder / "context.yaml"
        yield Case(
            f"{provider}-{feed}-{folder.name}",
            provider,
            feed,
            _request(interpreter, feed, said, _body_of(folder)),
            read_context(provider, own if own.exists() else root / provider / "context.yaml"),
            int(said.get("again", 0)),
            bool(said.get("sign", True)),
            str(said.get("why", "")),
            tuple(said.get("params", {}).items()),
        )


def _body_of(folder: Path) -> bytes:
    """The exact bytes; none where the request has no body."""
    found = next(folder.glob("body.*"), None)
    return found.read_bytes() if found else b""


def read_yaml(file: Path) -> dict[str, Any]:
    """A YAML file's data in plain values."""
    read: dict[str, Any] = plain(compose(file.read_text(), str(file)).data)
    return read


def read_context(provider: str, file: Path) -> Context:
    """A context file: `connection`, `mappings` (kind, external_id, canonical_id, within) and `views`."""
    return context_of(provider, read_yaml(file))


def context_of(provider: str, said: Mapping[str, Any]) -> Context:
    connection = said.get("connection") or {}
    made = Connection(
        connection.get("id", "trial"),
        connection.get("tenant", "trial"),
        provider,
        {name: (value.encode(),) for name, value in connection.get("secrets", {}).items()},
        keys=tuple(connection.get("keys", ())),
        merchant=connection.get("merchant", ""),
        stores=tuple(connection.get("stores", ())),
        allow=tuple(connection.get("allow", ())),
        time_zone=connection.get("time_zone"),
        currency=connection.get("currency"),
        settings=connection.get("settings", {}),
    )
    mappings = {
        Ref(m["kind"], m.get("within", m.get("store", "")), m["external_id"]): m["canonical_id"]
        for m in said.get("mappings") or ()
    }
    return Context(made, mappings, said.get("views") or {})


def _request(interpreter: Interpreter, feed: str, said: Mapping[str, Any], body: bytes) -> Request:
    return make_request(
        interpreter,
        feed,
        body,
        method=said.get("method"),
        headers=tuple(said.get("headers", {}).items()),
        query=tuple(said.get("query", {}).items()),
        params=tuple(said.get("params", {}).items()),
        received_at=datetime.fromisoformat(said.get("received_at", RECEIVED_AT)),
    )


def make_request(
    interpreter: Interpreter,
    feed: str,
    body: bytes,
    *,
    received_at: datetime,
    method: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    query: tuple[tuple[str, str], ...] = (),
    params: tuple[tuple[str, str], ...] = (),
    public_url: str = PUBLIC_URL,
) -> Request:
    """A request to a feed or a handshake as the server would see it. `method`: default: its own."""
    path = webhook_path(interpreter, feed, params=params)
    return Request(
        method or _method(interpreter, feed),
        url_of(public_url, path, query),
        path,
        query,
        tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers),
        body,
        PEER,
        received_at.astimezone(UTC),
    )


def webhook_path(
    interpreter: Interpreter, feed: str, connection: str = "", params: Iterable[tuple[str, str]] = ()
) -> str:
    """The URL path of a feed or a handshake: through a connection where one is named. `params` are the values of
    its placeholders."""
    return path_at(interpreter.provider, _route(interpreter, feed).filled(dict(params)), connection)


def _route(interpreter: Interpreter, name: str) -> Route:
    """Where it is sent to; a handshake without a path of its own goes to the first feed."""
    if name in interpreter.feeds:
        return interpreter.feeds[name].route
    own = interpreter.handshakes.by_name[name].route
    return own or next(iter(interpreter.feeds.values())).route


def _method(interpreter: Interpreter, name: str) -> str:
    if name in interpreter.feeds:
        return interpreter.feeds[name].feed.method
    return interpreter.handshakes.by_name[name].handshake.method
