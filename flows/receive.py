"""One webhook: verified, persisted, interpreted, committed, answered, in this order.

Nothing is acknowledged before it is durable. A request that does not verify is quarantined within bounds;
one that names no connection is only counted.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import orjson

from engine.auth_failures import KeyNeeded
from engine.failures import Failure, Refusal, Unauthorized
from engine.handshakes import BODY_LIMIT as HANDSHAKE_LIMIT
from engine.messages import Connection, Outcome, Reply, Request, Verdict
from engine.reading import Reading
from flows.admission import Gate, weight
from flows.attempts import Attempt, Attempts, Concluded
from flows.certificates import Certificates, CertificateUnavailable
from flows.connections import Connections, Directory, candidates, verified
from flows.handshakes import Handshaking
from flows.journal import Journal, QueueFull, StoreUnavailable
from flows.limits import Limits
from flows.logging import logger
from flows.metrics import Metrics, Refused
from flows.overrides import effective
from flows.providers import LoadedProvider
from flows.questions import answers
from flows.receipts import receipt
from flows.sealing import Secrecy, sealed, secrecy_of
from flows.shares import ShareFull, Shares
from flows.urls import urls_of
from stores.records import RawDelivery

DELIVERY_HEADER = "tiffin-delivery"

T = TypeVar("T")

_log = logger("tiffin.receive")


class Target(NamedTuple):
    """Where a request goes: a feed of a loaded provider. `connection` is the one the URL's path names, or "".

    `most` is the largest body in bytes; `handshakes` are those that the request may be. `feed` is "" where the
    URL and method have handshakes alone; `methods` are those of the feeds there.
    """

    provider: LoadedProvider
    feed: str
    connection: str
    most: int
    handshakes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


class Unrouted(Exception):
    """No feed answers the URL. `methods` are those that one would answer there; empty: none at all."""

    def __init__(self, reason: Refused, methods: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason, self.methods = reason, methods


class Receiver:
    """Receives webhooks. `gate` bounds the bytes of bodies held; whoever reads a body pays there first."""

    def __init__(
        self,
        providers: Mapping[str, LoadedProvider],
        directory: Directory,
        journal: Journal,
        attempts: Attempts,
        metrics: Metrics,
        gate: Gate,
        *,
        public_url: str,
        max_body: int,
        limits: Limits | None = None,
        shares: Shares | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self._providers, self._directory, self._journal = providers, directory, journal
        self._attempts, self._metrics, self.gate = attempts, metrics, gate
        self._public_url, self._max_body = public_url, max_body
        self.limits = limits or Limits(0, 0, 1)
        self._shares = shares or Shares(1_000_000, 100)
        self.certificates = certificates or Certificates()
        self._handshaking = Handshaking(
            directory, journal, metrics, attempts.apart, self.certificates, public_url=public_url
        )
        self._secrecy: dict[str, Secrecy] = {
            name: secrecy_of(loaded.interpreter.provider) for name, loaded in providers.items()
        }
        self._later: set[asyncio.Task[None]] = set()
        self.questions = 0
        """Questions that were answered and not yet counted in the store."""
        self.generation = 0
        """Rises whenever provider files are swapped in: a target that was found before is not to be used again."""

    def reloaded(self, providers: Mapping[str, LoadedProvider]) -> None:
        """What is secret in requests of changed providers; those that are gone may still have some in flight."""
        self.generation += 1
        self._secrecy |= {name: secrecy_of(loaded.interpreter.provider) for name, loaded in providers.items()}

    def target(self, family: str, provider: str, connection: str, method: str, tail: str) -> Target:
        """Raises Unrouted."""
        loaded = self._providers.get(provider)
        if loaded is None or loaded.interpreter.provider.family != family:
            raise Unrouted("unknown_provider")
        interpreter = loaded.interpreter
        feed = interpreter.feed_of(method, tail)
        handshakes = interpreter.handshakes_at(method, tail)
        if feed is None:
            if not handshakes:
                raise Unrouted("unknown_feed", interpreter.methods_of(tail))
            methods = interpreter.feed_methods(tail)
            return Target(loaded, "", connection, min(HANDSHAKE_LIMIT, self._max_body), handshakes, methods)
        own = interpreter.provider.feeds[feed].limits.body
        most = self._max_body if own is None else min(own, self._max_body)
        return Target(loaded, feed, connection, most, handshakes)

    def has_room(self, size: int) -> bool:
        """Whether the commit queue would take a body of this many bytes now."""
        return self._journal.has_room(size)

    def refused(self, target: Target, verdict: Refused) -> Reply:
        """The answer to a request that is not taken in: busy or unavailable."""
        self._metrics.refused(verdict)
        return target.provider.interpreter.reply(target.feed, verdict, urls=self._urls(target.provider))

    def limited(self, target: Target, wait: float) -> Reply:
        """The answer to a request beyond a limit: busy, to come again in `wait` seconds at the earliest."""
        self._metrics.refused("rate_limited")
        reply = target.provider.interpreter.reply(target.feed, "busy", urls=self._urls(target.provider))
        return later(reply, math.ceil(wait))

    async def receive(self, target: Target, request: Request) -> Reply:
        """The answer, once everything that it says is durable. Raises Unrouted where only handshakes have the
        URL and the request is none of them."""
        try:
            if target.handshakes and (shaken := await self._shaken(target, request)) is not None:
                return shaken
            if not target.feed:
                raise Unrouted("no_handshake", target.methods)
            return await self._receive(target, request)
        except (QueueFull, ShareFull):
            return self.refused(target, "busy")
        except CertificateUnavailable:
            return self.refused(target, "unavailable")
        except StoreUnavailable:
            _log.warning("store_unavailable", provider=target.provider.interpreter.provider.provider)
            return self.refused(target, "unavailable")

    async def fetched(
        self, loaded: LoadedProvider, feed: str, request: Request, connection: Connection, delivery: str
    ) -> Verdict:
        """Takes in what was fetched for a feed, as the delivery of this id; the committed verdict.

        Raises QueueFull and StoreUnavailable.
        """
        target = Target(loaded, feed, connection.id, self._max_body)
        loaded, obstacle = await effective(self._journal, loaded, connection)
        raw = self._raw(target, request, connection, spec_hash=loaded.spec_hash)._replace(id=delivery)
        await self._journal.received(raw)
        try:
            attempt = Attempt(raw.id, 1, loaded, feed, connection, request, obstacle=obstacle)
            return await self._attempts.run(attempt, lambda concluded: concluded.verdict)
        finally:
            self._journal.left(raw.id)

    async def apart(self, size: int, function: Callable[..., T], *arguments: Any) -> T:
        """See `Attempts.apart`."""
        return await self._attempts.apart(size, function, *arguments)

    async def drained(self) -> None:
        """Returns when the work of requests that were answered early is done, and all is counted."""
        while self._later:
            await asyncio.wait(self._later)
        await self._handshaking.close()

    async def _shaken(self, target: Target, request: Request) -> Reply | None:
        """The answer to a handshake; None where the request is none."""
        if len(request.body) > HANDSHAKE_LIMIT:
            return None
        interpreter = target.provider.interpreter
        name = await self._attempts.apart(len(request.body), interpreter.handshakes.met, target.handshakes, request)
        if name is None:
            return None
        return await self._handshaking.answer(interpreter, name, target.feed, target.connection, request)

    async def _receive(self, target: Target, request: Request) -> Reply:
        began = started = perf_counter()
        observe = self._metrics.observe
        connections = await self._directory.current()
        found, refusal = await self._authenticate(target, request, connections)
        observe("verify", perf_counter() - started)
        if refusal is not None:
            return await self._unauthorized(target, request, found, refusal.failure)
        connection = found[0]
        if wait := self.limits.connection(connection):
            return self.limited(target, wait)
        with self._shares.one_of(connection):
            return await self._taken(target, request, connection, began)

    async def _taken(self, target: Target, request: Request, connection: Connection, began: float) -> Reply:
        """The answer to a request that has verified. Its share is held meanwhile."""
        observe = self._metrics.observe
        if target.provider.interpreter.feeds[target.feed].feed.issue is not None:
            return self._issued(target, request, connection)
        if target.provider.interpreter.asks(target.feed):
            return await self._answered(target, request, connection)
        loaded, obstacle = await effective(self._journal, target.provider, connection)
        raw = self._raw(target, request, connection, spec_hash=loaded.spec_hash)
        started = perf_counter()
        await self._journal.received(raw)
        observe("persist", perf_counter() - started)
        self._metrics.received(connection.provider, target.feed)
        attempt = Attempt(raw.id, 1, loaded, target.feed, connection, request, obstacle=obstacle)
        if target.provider.interpreter.provider.feeds[target.feed].ack == "persisted":
            self._work_later(attempt)
            return self._reply(attempt, "accepted", 0, None, None, shown="in_flight")
        try:
            reply = await self._attempts.run(attempt, lambda concluded: self._answer(attempt, concluded))
        finally:
            self._journal.left(raw.id)
        observe("total", perf_counter() - began)
        return reply

    async def _authenticate(
        self, target: Target, request: Request, connections: Connections
    ) -> tuple[tuple[Connection, ...], Unauthorized | None]:
        """As `_authenticated`, with a certificate fetched where one is wanted. Raises CertificateUnavailable."""
        apart, size = self._attempts.apart, weight(request.body)
        held = self.certificates.held
        found, refusal = await apart(size, _authenticated, target, request, connections, held)
        if isinstance(refusal, KeyNeeded):
            await self.certificates.fetch(refusal.url)
            held = self.certificates.held
            found, refusal = await apart(size, _authenticated, target, request, connections, held)
        return found, refusal

    def _issued(self, target: Target, request: Request, connection: Connection) -> Reply:
        """The answer to a login, which is no delivery: nothing of it is stored."""
        interpreter = target.provider.interpreter
        try:
            token = interpreter.issue(target.feed, request, connection)
        except Unauthorized as refusal:
            return self._login_refused(target, refusal.failure)
        self._metrics.refused("login")
        return interpreter.reply(target.feed, "accepted", issued=token, urls=self._urls(target.provider, connection.id))

    def _login_refused(self, target: Target, failure: Failure) -> Reply:
        interpreter = target.provider.interpreter
        self._metrics.refused("login")
        self._metrics.failed(interpreter.provider.provider, target.feed, "auth")
        return interpreter.reply(target.feed, "unauthorized", failure=failure, urls=self._urls(target.provider))

    async def _answered(self, target: Target, request: Request, connection: Connection) -> Reply:
        """The answer to a question: nothing of it is kept."""
        interpreter, feed = target.provider.interpreter, target.feed
        reading: Reading | None = None
        verdict, outcome, views = "accepted", Outcome("accepted"), None
        try:
            reading = interpreter.read(feed, request, connection)
            asked = interpreter.questions(reading)
            views = await self._journal.read(lambda transaction: answers(transaction, connection, asked))
        except Refusal as refusal:
            outcome = interpreter.refused(refusal.failure)
            verdict = outcome.verdict
        self.questions += 1
        self._metrics.answered(connection.provider, feed, "answered" if verdict == "accepted" else verdict)
        urls = self._urls(target.provider, connection.id)
        return interpreter.reply(
            feed, verdict, asked=(request, connection), reading=reading, outcome=outcome, urls=urls, views=views
        )

    def _work_later(self, attempt: Attempt) -> None:
        size = len(attempt.request.body)
        self.gate.hold(size)

        async def work() -> None:
            try:
                await self._attempts.run(attempt, lambda _: None)
            except StoreUnavailable:
                _log.warning("left_in_flight", delivery=attempt.delivery)
            finally:
                self._journal.left(attempt.delivery)
                self.gate.give(size)

        task = asyncio.get_running_loop().create_task(work())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _answer(self, attempt: Attempt, concluded: Concluded) -> Reply:
        return self._reply(
            attempt,
            concluded.verdict,
            concluded.commands,
            concluded.reading,
            concluded.outcome,
            holder=concluded.holder,
        )

    def _reply(
        self,
        attempt: Attempt,
        verdict: str,
        commands: int,
        reading: Reading | None,
        outcome: Outcome | None,
        *,
        shown: str = "",
        holder: str = "",
    ) -> Reply:
        failures = outcome.failures if outcome else ()
        shown_receipt = receipt(self._public_url, attempt.delivery, shown or verdict, commands, failures, holder)
        try:
            reply = attempt.provider.interpreter.reply(
                attempt.feed,
                verdict,
                asked=(attempt.request, attempt.connection),
                reading=reading,
                outcome=outcome,
                receipt=shown_receipt,
                urls=self._urls(attempt.provider, attempt.connection.id),
            )
            return with_delivery(reply, attempt.delivery)
        except Exception:
            # The work is committed: a reply that cannot be rendered must not say otherwise.
            _log.exception("reply_failed", delivery=attempt.delivery)
            return Reply(200, (("content-type", "application/json"),), orjson.dumps(shown_receipt))

    async def _unauthorized(
        self, target: Target, request: Request, found: tuple[Connection, ...], failure: Failure
    ) -> Reply:
        interpreter = target.provider.interpreter
        shown: dict[str, Any] = {}
        if interpreter.feeds[target.feed].feed.issue is not None:
            return self._login_refused(target, failure)
        if found and not interpreter.asks(target.feed):
            raw = self._raw(target, request, found[0] if len(found) == 1 else None, failure.code)
            await self._journal.quarantined(raw, failure)
            self._metrics.received(interpreter.provider.provider, target.feed)
            self._metrics.answered(interpreter.provider.provider, target.feed, "unauthorized")
            self._metrics.failed(interpreter.provider.provider, target.feed, "auth")
            shown = receipt(self._public_url, raw.id, "unauthorized", 0, (failure,))
        elif found:
            self._metrics.answered(interpreter.provider.provider, target.feed, "unauthorized")
        else:
            self._metrics.refused("unknown_connection")
        urls = self._urls(target.provider)
        return interpreter.reply(target.feed, "unauthorized", failure=failure, receipt=shown, urls=urls)

    def _raw(
        self,
        target: Target,
        request: Request,
        connection: Connection | None,
        quarantined: str = "",
        spec_hash: str = "",
    ) -> RawDelivery:
        provider = target.provider.interpreter.provider.provider
        stored = sealed(request, self._secrecy[provider], self._journal.seal)
        return RawDelivery(
            id=new_id(request.received_at),
            received_at=request.received_at,
            tenant=connection.tenant if connection else "",
            provider=provider,
            connection=connection.id if connection else "",
            feed=target.feed,
            method=request.method,
            url=stored.url,
            headers=stored.headers,
            sealed=stored.sealed,
            body=stored.body,
            body_sealed=stored.body_sealed,
            peer=request.peer,
            spec_hash=spec_hash or target.provider.spec_hash,
            quarantined=quarantined,
        )

    def _urls(self, provider: LoadedProvider, connection: str = "") -> Callable[[], Mapping[str, Any]]:
        return lambda: urls_of(provider.interpreter, self._public_url, connection)


def new_id(received_at: datetime) -> str:
    """128 random bits behind the time in milliseconds: the store's trees then grow at their ends."""
    return f"{int(received_at.timestamp() * 1000):012x}{os.urandom(16).hex()}"


def later(reply: Reply, seconds: int) -> Reply:
    """The reply with a Retry-After of at least so many seconds."""
    name, value = "retry-after", str(seconds)
    given = [said for header, said in reply.headers if header.lower() == name]
    if given and (not given[0].isdigit() or int(given[0]) >= seconds):
        return reply
    return reply._replace(headers=(*((h, v) for h, v in reply.headers if h.lower() != name), (name, value)))


def with_delivery(reply: Reply, delivery: str) -> Reply:
    """The reply with the delivery's id in a header: whatever the provider's reply says, its receipt can be found."""
    return reply._replace(headers=(*reply.headers, (DELIVERY_HEADER, delivery)))


def _authenticated(
    target: Target, request: Request, connections: Connections, fetched: Mapping[str, bytes]
) -> tuple[tuple[Connection, ...], Unauthorized | None]:
    """The connection that verified, alone; or those that were tried and why none is right."""
    interpreter = target.provider.interpreter
    found = candidates(connections, interpreter, target.feed, request, target.connection)
    try:
        return (verified(interpreter, target.feed, found, request, fetched),), None
    except Unauthorized as refusal:
        return found, refusal
