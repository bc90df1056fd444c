"""The messages between the stages of the interpreter. All are frozen; none does any work.

Those that are made for every request or command are named tuples, which cost a fifth of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from engine.failures import Failure

if TYPE_CHECKING:
    from engine.presences import Presence

Verdict = Literal[
    "accepted", "partial", "duplicate", "stale", "ignored", "parked", "rejected", "failed", "unauthorized"
]
"""What a delivery came to. `rejected`: the input is at fault; `failed`: Tiffin could not do the work."""


@dataclass(frozen=True)
class Request:
    """One HTTP request as it came.

    `url` is the public URL as configured (TIFFIN_PUBLIC_URL) plus the path and query as received, never
    one guessed from headers. Header names are lower case; names and values are the bytes received.
    `received_at` is aware and in UTC. `peer` is the caller's address behind the declared proxies. `params`
    are the segments of the path that a feed's `{name}` stands for; they are known once the feed is.
    """

    method: str
    url: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    peer: str
    received_at: datetime
    params: tuple[tuple[str, str], ...] = ()

    def header_values(self, name: str) -> list[str]:
        """Every value of a header, decoded as Latin-1, in order. `name` is compared without case."""
        wanted = name.lower().encode("latin-1", "replace")
        return [value.decode("latin-1") for key, value in self.headers if key == wanted]

    @cached_property
    def received_text(self) -> str:
        """`received_at` as RFC 3339 in UTC with six digits of fraction."""
        return self.received_at.isoformat(timespec="microseconds")[:-6] + "Z"

    @cached_property
    def bindings(self) -> dict[str, Any]:
        """`$request` for expressions: several values of one header or parameter are joined with ", "."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        query: dict[str, str] = {}
        for name, value in self.query:
            query[name] = f"{query[name]}, {value}" if name in query else value
        found: dict[str, Any] = {
            "method": self.method,
            "path": self.path,
            "headers": headers,
            "query": query,
            "received_at": self.received_text,
        }
        return {**found, "params": dict(self.params)} if self.params else found


@dataclass(frozen=True)
class Connection:
    """One tenant's agreement with one provider.

    `secrets` maps a secret's name to every value valid now, newest first. `merchant` is the canonical
    merchant id; `stores` the canonical store ids it may speak for (empty: any mapped store of the
    tenant). `keys` are what the provider file's `connection:` expression is matched against. `allow`
    holds CIDR blocks (empty: any address). `overrides` is YAML that changes fields, lookups and defaults of
    the provider file, "" for none.
    """

    id: str
    tenant: str
    provider: str
    secrets: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    merchant: str = ""
    stores: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    time_zone: str | None = None
    currency: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    overrides: str = ""


class Ref(NamedTuple):
    """An external id that a message mentions. `within` is the external store id for kinds per store, else ""."""

    kind: str
    within: str
    external_id: str


class Scope(NamedTuple):
    """The external merchant and store a delivery speaks of, as the provider names them; "" where unsaid."""

    merchant: str = ""
    store: str = ""


class IdempotencyKey(NamedTuple):
    """What a delivery claims.

    `text` is printable and the same for the same message (`event_id:…`, `payload_hash:…`); `strategy`
    says how it was made; `window` is seconds for a payload hash, None for a key that stands for ever.
    `scope_key` names the scope whose last accepted message a payload hash `against: last` is compared
    with; None otherwise.
    """

    text: str
    strategy: Literal["event_id", "payload_hash", "payload_hash_last", "delivery"]
    window: int | None = None
    scope_key: str | None = None


class EntityVersion(NamedTuple):
    """The version an update carries for one entity. `order` sorts as text the way versions do."""

    entity: str
    order: str
    source: str


class Command(NamedTuple):
    """One canonical command, ready for the bus.

    `event` is the CloudEvents 1.0 envelope with its data, as JSON bytes; `kafka_key` the partition key.
    `element` is the index of the outermost element that it comes from.
    """

    id: str
    commandkey: str
    name: str
    rule: str
    entity: str
    kafka_key: str
    data: Mapping[str, Any]
    event: bytes
    element: int
    version: EntityVersion | None = None


class NewMapping(NamedTuple):
    """A canonical id made from a first mention, to be inserted with the outcome."""

    ref: Ref
    canonical_id: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one element of the outermost `each`: an entry of `$results` in replies."""

    element: Any
    ok: bool
    problems: tuple[Failure, ...] = ()


class Outcome(NamedTuple):
    """What a delivery comes to before it is committed: the commit may still find it a duplicate or stale.

    `presences` say who is there, where rules are snapshots or tell only what changed.
    """

    verdict: Verdict
    commands: tuple[Command, ...] = ()
    failures: tuple[Failure, ...] = ()
    mappings: tuple[NewMapping, ...] = ()
    results: tuple[Result, ...] = ()
    entities: tuple[str, ...] = ()
    merchant_id: str = ""
    store_id: str = ""
    presences: tuple[Presence, ...] = ()


class Reply(NamedTuple):
    """The answer to the provider. `body` is bytes as they go out; header values are text."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
