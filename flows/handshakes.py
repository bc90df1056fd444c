"""Answers handshakes. They are no deliveries: nothing is stored of them but what an operator must see.

Anybody can send one that is unsigned. So what they write is bounded in the store (stores/notices.py) and in
time (`Rate`), and they are counted in memory and written down together (`Tally`).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any

import orjson

from engine.failures import Refusal, Unauthorized
from engine.handshakes import CompiledHandshake, Shaken, refusal_reply
from engine.interpreter import Interpreter
from engine.messages import Connection, Reply, Request
from flows.connections import Directory, candidates, verified
from flows.journal import Journal, QueueFull, StoreUnavailable
from flows.logging import logger
from flows.metrics import Metrics, ShakenTo
from flows.urls import urls_of
from stores import notices
from stores.notices import NewNotice
from stores.writer import Work

NOTICES_A_MINUTE = 6
"""Notices written of one handshake from one address in a minute; more are answered with busy."""
NOTICES_IN_ALL = 60
"""Those of one handshake from all addresses."""
_MINUTE = 60.0
_TOGETHER = 0.5

_log = logger("tiffin.handshakes")


class Rate:
    """At most so many of one kind in a minute. Holds at most `kinds` kinds, the ones used last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, kinds: int = 4096) -> None:
        self._clock, self._kinds = clock, kinds
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def allows(self, kind: Hashable, most: int) -> bool:
        """Whether one more fits; it then counts."""
        now = self._clock()
        times = self._times.setdefault(kind, deque())
        self._times.move_to_end(kind)
        if len(self._times) > self._kinds:
            self._times.popitem(last=False)
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        if len(times) >= most:
            return False
        times.append(now)
        return True


class Tally:
    """Adds to the ledger's counters, a moment's counts in one write. What cannot be written waits for more."""

    def __init__(self, write: Callable[[Mapping[str, int]], Awaitable[None]], together: float = _TOGETHER) -> None:
        self._write, self._together = write, together
        self._counts: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    def add(self, name: str) -> None:
        self._counts[name] += 1
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._later())

    async def _later(self) -> None:
        await asyncio.sleep(self._together)
        await self.flush()

    async def flush(self) -> None:
        counts, self._counts = self._counts, Counter()
        try:
            if counts:
                await self._write(dict(counts))
        except (StoreUnavailable, QueueFull):
            self._counts += counts

    async def close(self) -> None:
        """Writes what is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()


class Handshaking:
    """Answers the handshakes of all providers."""

    def __init__(
        self,
        directory: Directory,
        journal: Journal,
        metrics: Metrics,
        apart: Callable[..., Awaitable[Any]],
        *,
        public_url: str,
        rate: Rate | None = None,
    ) -> None:
        """`apart` calls a pure function where it holds nobody up: see Attempts.apart."""
        self._directory, self._journal, self._metrics, self._public_url = directory, journal, metrics, public_url
        self._apart = apart
        self._rate = rate or Rate()
        self._tally = Tally(journal.count)

    async def close(self) -> None:
        await self._tally.close()

    async def answer(self, interpreter: Interpreter, name: str, feed: str, named: str, request: Request) -> Reply:
        """The answer to a request that is this handshake. `feed` is the one at its URL, or ""; `named` the
        connection that the URL's path names, or "". Raises QueueFull and StoreUnavailable."""
        came_to: ShakenTo = "handshakes"
        try:
            shaken = await self._answer(interpreter, name, named, request)
            if shaken is None:
                reply, came_to = interpreter.reply(feed, "busy"), "handshakes_too_many"
            else:
                reply = shaken
        except Unauthorized as refusal:
            reply = interpreter.reply(feed, "unauthorized", failure=refusal.failure)
            came_to = "handshakes_unauthorized"
        except Refusal as refusal:
            reply, came_to = refusal_reply(refusal.failure), "handshakes_refused"
        self._tally.add(came_to)
        self._metrics.shaken(interpreter.provider.provider, name, came_to)
        _log.info("handshake", provider=interpreter.provider.provider, handshake=name, came_to=came_to)
        return reply

    async def _answer(self, interpreter: Interpreter, name: str, named: str, request: Request) -> Reply | None:
        """None: too many come that write."""
        one = interpreter.handshakes.by_name[name]
        found = candidates(await self._directory.current(), interpreter, name, request, named)
        connection = _spoken_for(interpreter, one, found, request)
        urls = urls_of(interpreter, self._public_url, connection.id if connection else named)
        shaken: Shaken = await self._apart(len(request.body), one.shake, request, connection, urls)
        reply, shown = shaken
        if shown:
            provider = interpreter.provider.provider
            of_a_peer, in_all = (provider, name, request.peer), (provider, name)
            if not (self._rate.allows(of_a_peer, NOTICES_A_MINUTE) and self._rate.allows(in_all, NOTICES_IN_ALL)):
                return None
            await self._note(provider, name, connection, request, shown)
        return reply

    async def _note(
        self, provider: str, name: str, connection: Connection | None, request: Request, shown: Mapping[str, str]
    ) -> None:
        sealed = self._journal.seal(orjson.dumps(dict(shown)))
        if not self._journal.has_room(len(sealed)):
            raise QueueFull
        tenant, id_ = (connection.tenant, connection.id) if connection else ("", "")
        new = NewNotice(request.received_at, tenant, provider, id_, name, request.peer, sealed)
        await self._journal.write(Work(notices.note, new))


def _spoken_for(
    interpreter: Interpreter, one: CompiledHandshake, found: tuple[Connection, ...], request: Request
) -> Connection | None:
    """The connection of a handshake: the one that verifies it, or for an unsigned one the only one there is.

    Raises Unauthorized: it does not verify, or the connection that it names has another allowlist.
    """
    if one.handshake.auth != "none":
        return verified(interpreter, one.name, found, request)
    if len(found) != 1:
        return None
    interpreter.admit(request, found[0])
    return found[0]
