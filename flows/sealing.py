"""What of a request is stored in the open, and what is stored encrypted.

Secrets that authentication finds in headers and in the URL are replaced by a placeholder and kept beside,
encrypted. Where it finds one in the body, or the provider file names sensitive fields, the body as a whole
is ciphertext. The exact request comes back from `opened`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

import orjson

from engine import signatures
from engine.messages import Request
from engine.model import Provider

PLACEHOLDER = "[sealed]"

# Credentials whatever the provider file says: a client may send them unasked.
_ALWAYS = frozenset({b"authorization", b"proxy-authorization", b"cookie"})

Seal = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Secrecy:
    """Where the secrets of a provider's requests stand. Header names are lower case."""

    headers: frozenset[bytes]
    query: frozenset[str]
    body: bool


def secrecy_of(provider: Provider) -> Secrecy:
    own = (feed.auth for feed in provider.feeds.values() if feed.auth is not None)
    found = signatures.locations(provider.auth, *own)
    return Secrecy(
        _ALWAYS | {name.lower().encode() for name in found.headers},
        frozenset(found.query),
        bool(found.form or found.body or provider.sensitive),
    )


class Sealed(NamedTuple):
    """A request as it is stored; see stores.records.RawDelivery for the fields."""

    url: str
    headers: bytes
    sealed: bytes
    body: bytes
    body_sealed: bool


def sealed(request: Request, secrecy: Secrecy, seal: Seal) -> Sealed:
    kept: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []
    for name, value in request.headers:
        text = value.decode("latin-1")
        if name.lower() in secrecy.headers:
            kept[str(len(pairs))] = text
            text = PLACEHOLDER
        pairs.append((name.decode("latin-1"), text))
    url = request.url
    if secrecy.query and any(name in secrecy.query for name, _ in request.query):
        kept["url"] = url
        url = _without(url, secrecy.query)
    return Sealed(
        url,
        orjson.dumps(pairs),
        seal(orjson.dumps(kept)) if kept else b"",
        seal(request.body) if secrecy.body else request.body,
        secrecy.body,
    )


class StoredRequest(Protocol):
    """The columns of a stored delivery that make up its request."""

    @property
    def received_at(self) -> datetime: ...
    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> bytes: ...
    @property
    def sealed(self) -> bytes: ...
    @property
    def body(self) -> bytes: ...
    @property
    def body_sealed(self) -> bool: ...
    @property
    def peer(self) -> str: ...


def opened(stored: StoredRequest, unseal: Seal) -> Request:
    """The request exactly as it came. `unseal` raises where the secret key is another one."""
    kept = orjson.loads(unseal(stored.sealed)) if stored.sealed else {}
    headers = tuple(
        (name.encode("latin-1"), kept.get(str(n), value).encode("latin-1"))
        for n, (name, value) in enumerate(orjson.loads(stored.headers))
    )
    url = kept.get("url", stored.url)
    parts = urlsplit(url)
    return Request(
        stored.method,
        url,
        unquote_path(parts.path),
        query_pairs(parts.query),
        headers,
        unseal(stored.body) if stored.body_sealed else stored.body,
        stored.peer,
        stored.received_at,
    )


def query_pairs(query: str) -> tuple[tuple[str, str], ...]:
    """The parameters of a query string in order, blank ones too."""
    return tuple(parse_qsl(query, keep_blank_values=True)) if query else ()


def unquote_path(path: str) -> str:
    return unquote(path) if "%" in path else path


def _without(url: str, names: Collection[str]) -> str:
    base, _, query = url.partition("?")
    pairs = []
    for pair in query.split("&"):
        name, equals, _value = pair.partition("=")
        pairs.append(f"{name}{equals}{PLACEHOLDER}" if unquote_plus(name) in names else pair)
    return f"{base}?{'&'.join(pairs)}"
