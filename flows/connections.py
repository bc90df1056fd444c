"""Which connection a request speaks for: the directory of connections and the choice among them.

The body is looked at before verification only to choose which secret to try; the tenant is that of the
connection whose secret verifies.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from engine.auth_failures import KeyNeeded
from engine.failures import Failure, Unauthorized
from engine.interpreter import Interpreter
from engine.messages import Connection, Request

MOST_CANDIDATES = 32
"""More connections than this are not tried for one request: each try costs a signature."""


@dataclass(frozen=True)
class Connections:
    """The enabled connections, by id, by provider and by (provider, key)."""

    by_id: Mapping[str, Connection]
    by_provider: Mapping[str, tuple[Connection, ...]]
    by_key: Mapping[tuple[str, str], tuple[Connection, ...]]


def indexed(connections: Iterable[Connection]) -> Connections:
    by_id: dict[str, Connection] = {}
    by_provider: dict[str, list[Connection]] = defaultdict(list)
    by_key: dict[tuple[str, str], list[Connection]] = defaultdict(list)
    for connection in connections:
        by_id[connection.id] = connection
        by_provider[connection.provider].append(connection)
        for key in connection.keys:
            by_key[connection.provider, key].append(connection)
    return Connections(by_id, {k: tuple(v) for k, v in by_provider.items()}, {k: tuple(v) for k, v in by_key.items()})


class Directory:
    """The connections as the store has them, at most `fresh` seconds old.

    `marker` reads what moves whenever a connection changes, cheaply; `load` reads the connections. They
    are loaded anew when the marker moved, and at least every `reload` seconds, because secrets begin and
    end to be valid by themselves.
    """

    def __init__(
        self,
        marker: Callable[[], Awaitable[Hashable]],
        load: Callable[[], Awaitable[Iterable[Connection]]],
        *,
        fresh: float = 0.5,
        reload: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._marker, self._load, self._clock = marker, load, clock
        self._fresh, self._reload = fresh, reload
        self._connections = indexed(())
        self._seen: Hashable = None
        self._checked = self._loaded = float("-inf")

    async def current(self) -> Connections:
        """Raises what `marker` and `load` raise when the store is away and nothing was loaded yet."""
        now = self._clock()
        if now - self._checked < self._fresh:
            return self._connections
        first = self._loaded == float("-inf")
        if not first:
            # Requests that come while this one looks use what is at hand.
            self._checked = now
        marker = await self._marker()
        if first or marker != self._seen or now - self._loaded >= self._reload:
            self._connections = indexed(await self._load())
            self._seen, self._loaded = marker, now
        self._checked = now
        return self._connections


def candidates(
    connections: Connections, interpreter: Interpreter, feed: str, request: Request, named: str
) -> tuple[Connection, ...]:
    """The connections whose secrets are worth trying, for a feed or a handshake. `named` is the one that the
    URL's path names, or ""."""
    provider = interpreter.provider
    chosen = named or next((value for name, value in request.query if name == "connection"), "")
    if chosen:
        found = connections.by_id.get(chosen)
        return (found,) if found is not None and found.provider == provider.provider else ()
    if interpreter.chooses_connection(feed):
        key = interpreter.connection_key(feed, request)
        return connections.by_key.get((provider.provider, key), ()) if key else ()
    return connections.by_provider.get(provider.provider, ())


def verified(
    interpreter: Interpreter,
    feed: str,
    found: tuple[Connection, ...],
    request: Request,
    fetched: Mapping[str, bytes] | None = None,
) -> Connection:
    """The one connection whose secret verifies the request. Raises Unauthorized: none, or several, do.

    Where only a certificate is missing among those `fetched`, by URL, that is KeyNeeded.
    """
    if not found:
        raise Unauthorized(_failure("connection_unknown", "The request names no connection that there is."))
    if len(found) > MOST_CANDIDATES:
        raise Unauthorized(_failure("connection_ambiguous", "The request does not say which connection it is for."))
    right: list[Connection] = []
    refusals: list[Unauthorized] = []
    for connection in found:
        try:
            interpreter.verify(feed, request, connection, fetched)
            right.append(connection)
        except Unauthorized as refusal:
            refusals.append(refusal)
    if not right:
        raise next((one for one in refusals if isinstance(one, KeyNeeded)), refusals[0])
    if len(right) > 1:
        raise Unauthorized(_failure("connection_ambiguous", "The request verifies for several connections."))
    return right[0]


def _failure(code: str, message: str) -> Failure:
    return Failure("auth", code, message, "Post to the URL that names the connection: …/c/{connection}/{path}.")
