"""One attempt at a stored delivery, from its bytes to a committed outcome.

Receiving, recovery and replay are this same code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from time import perf_counter
from typing import Any, NamedTuple, Protocol, TypeVar

import orjson

from engine.failures import Failure, Refusal, from_json
from engine.messages import Connection, IdempotencyKey, Outcome, Ref, Request, Scope, Verdict
from engine.reading import Reading
from flows.admission import Turns, weight
from flows.journal import StoreUnavailable
from flows.logging import logger
from flows.metrics import Metrics, Stage
from flows.providers import LoadedProvider
from flows.receipts import item_results
from flows.tracing import carried
from stores.claims import Standing
from stores.outbox import grouped
from stores.records import Committed, Conclusion, State

LARGE_AT_ONCE = 2
SMALL = 4096
"""Bodies up to so many bytes are worked on faster than the store is asked whether they were sent before."""
MOST_FINISHES = 5

_log = logger("tiffin.attempts")
STATE_OF: dict[Verdict, State] = {
    "accepted": "accepted",
    "partial": "partial",
    "duplicate": "duplicate",
    "stale": "stale",
    "ignored": "ignored",
    "parked": "parked",
    "rejected": "failed",
    "failed": "failed",
    "unauthorized": "quarantined",
}
T = TypeVar("T")


class Reads(Protocol):
    """What an attempt asks the store between its stages."""

    async def standing(self, tenant: str, provider: str, key: IdempotencyKey, at: datetime) -> Standing | None:
        """Who holds this key; None when it is free."""

    async def resolve(self, tenant: str, provider: str, refs: frozenset[Ref]) -> dict[Ref, str]:
        """The canonical ids of external ids, as far as they are mapped."""

    async def resolve_as_of(self, tenant: str, provider: str, refs: frozenset[Ref], as_of: datetime) -> dict[Ref, str]:
        """The canonical ids that external ids had then."""


class Attempt(NamedTuple):
    """A delivery to work on. `number` counts from 1; `replay` says that an operator asked for it, `accepted` that
    its snapshots may retire more than their guard.

    `obstacle` is why it cannot be interpreted, where it cannot. `as_of`: the mappings of then hold, not those of now.
    """

    delivery: str
    number: int
    provider: LoadedProvider
    feed: str
    connection: Connection
    request: Request
    replay: bool = False
    obstacle: Failure | None = None
    accepted: bool = False
    as_of: datetime | None = None


class Work(NamedTuple):
    """What the interpreter made of an attempt.

    `holder` is the delivery that did the work before; `claimant` the one whose key this attempt takes over,
    so that its commands get the same ids.
    """

    reading: Reading | None
    outcome: Outcome
    holder: str = ""
    claimant: str = ""


class Concluded(NamedTuple):
    """A committed attempt. `verdict` is the final one; `commands` were written to the outbox."""

    verdict: Verdict
    commands: int
    reading: Reading | None
    outcome: Outcome
    holder: str


class Attempts:
    """Runs attempts: small ones on the event loop, large ones in threads, a few at once."""

    def __init__(
        self,
        reads: Reads,
        conclude: Callable[[Conclusion], Awaitable[Committed]],
        metrics: Metrics,
        clock: Callable[[], datetime],
        *,
        large_body: int,
        large_bytes: int,
        always_in_threads: bool = False,
    ) -> None:
        self._reads, self._conclude, self._metrics, self._clock = reads, conclude, metrics, clock
        self._small = -1 if always_in_threads else large_body
        self._turns = Turns(large_bytes)
        self._threads = ThreadPoolExecutor(LARGE_AT_ONCE, "evaluation")

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    async def apart(self, size: int, function: Callable[..., T], *arguments: Any) -> T:
        """Calls a pure function of the engine: here, or in a thread and in turn where the body is large."""
        if size <= self._small:
            return function(*arguments)
        await self._turns.enter(size)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        finally:
            self._turns.leave(size)

    async def run(self, attempt: Attempt, answer: Callable[[Concluded], T]) -> T:
        """What `answer` makes of the committed attempt, made before a large document is let go.

        Raises only StoreUnavailable: the delivery then stays in flight.
        """
        size = weight(attempt.request.body)
        if size <= self._small:
            return answer(await self._run(attempt, None))
        await self._turns.enter(size)
        try:
            concluded = await self._run(attempt, self._in_thread)
            return await self._in_thread(answer, concluded)
        finally:
            self._turns.leave(size)

    async def _run(self, attempt: Attempt, call: Call | None) -> Concluded:
        made: frozenset[Ref] = frozenset()
        for _ in range(MOST_FINISHES):
            work = await self._interpret(attempt, call, made)
            committed = await self._commit(attempt, work)
            if not committed.remapped:
                return self._concluded(attempt, work, committed)
            made = frozenset(new.ref for new in work.outcome.mappings)
        unsettled = _failure("mappings_unsettled", "The mappings of its ids kept changing.", "Replay the delivery.")
        work = Work(None, Outcome("failed", failures=(unsettled,)))
        return self._concluded(attempt, work, await self._commit(attempt, work))

    async def _interpret(self, attempt: Attempt, call: Call | None, made: frozenset[Ref]) -> Work:
        interpreter, connection = attempt.provider.interpreter, attempt.connection
        if attempt.obstacle is not None:
            return Work(None, Outcome("failed", failures=(attempt.obstacle,)))
        reading: Reading | None = None
        started = perf_counter()
        try:
            reading = (
                interpreter.read(attempt.feed, attempt.request, connection)
                if call is None
                else await call(interpreter.read, attempt.feed, attempt.request, connection)
            )
            started = self._passed("read", started)
            if reading.settled is not None:
                return Work(reading, reading.settled)
            claimant = ""
            # The claim settles who was first. To ask beforehand spares the work of a message that was sent
            # twice, and tells under whose claim a payload hash's command keys are made.
            if reading.key is not None and (reading.key.strategy != "event_id" or len(attempt.request.body) > SMALL):
                standing = await self._reads.standing(
                    connection.tenant, connection.provider, reading.key, attempt.request.received_at
                )
                if standing is not None and standing.delivery != attempt.delivery:
                    if standing.done:
                        return Work(reading, Outcome("duplicate"), holder=standing.delivery)
                    claimant = standing.delivery
                started = perf_counter()
            draft = interpreter.draft(reading) if call is None else await call(interpreter.draft, reading)
            started = self._passed("draft", started)
            resolved: dict[Ref, str] = {}
            if draft.refs:
                resolved = await self._resolve(attempt, draft.refs, made)
                started = self._passed("resolve", started)
            outcome = (
                interpreter.finish(draft, resolved, attempt.delivery, claimant)
                if call is None
                else await call(interpreter.finish, draft, resolved, attempt.delivery, claimant)
            )
            self._passed("finish", started)
            return Work(reading, outcome, claimant=claimant)
        except Refusal as refusal:
            return Work(reading, interpreter.refused(refusal.failure))
        except StoreUnavailable:
            raise
        except Exception:
            _log.exception("attempt_failed", delivery=attempt.delivery, attempt=attempt.number)
            return Work(reading, _internal_error())

    async def _resolve(self, attempt: Attempt, refs: frozenset[Ref], made: frozenset[Ref]) -> dict[Ref, str]:
        """`made` are ids that an earlier try wanted to create, and that somebody else has by now."""
        tenant, provider = attempt.connection.tenant, attempt.connection.provider
        if attempt.as_of is None:
            return await self._reads.resolve(tenant, provider, refs)
        then = await self._reads.resolve_as_of(tenant, provider, refs, attempt.as_of)
        new = made.intersection(refs).difference(then)
        return {**await self._reads.resolve(tenant, provider, new), **then} if new else then

    def _passed(self, stage: Stage, since: float) -> float:
        now = perf_counter()
        self._metrics.observe(stage, now - since)
        return now

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def _commit(self, attempt: Attempt, work: Work) -> Committed:
        started = perf_counter()
        try:
            return await self._conclude(self._conclusion(attempt, work))
        except StoreUnavailable:
            raise
        except Exception:
            # What this outcome holds cannot be written; that it failed can.
            _log.exception("outcome_not_written", delivery=attempt.delivery, attempt=attempt.number)
            return await self._conclude(self._conclusion(attempt, Work(None, _internal_error())))
        finally:
            self._passed("conclude", started)

    def _conclusion(self, attempt: Attempt, work: Work) -> Conclusion:
        reading, outcome, connection = work.reading, work.outcome, attempt.connection
        scope = reading.scope if reading else Scope()
        return Conclusion(
            delivery=attempt.delivery,
            attempt=attempt.number,
            tenant=connection.tenant,
            provider=connection.provider,
            connection=connection.id,
            feed=attempt.feed,
            event=reading.event if reading else "",
            state=STATE_OF[outcome.verdict],
            at=self._clock(),
            received_at=attempt.request.received_at,
            key=reading.key if reading else None,
            groups=grouped(carried(outcome.commands)),
            mappings=outcome.mappings,
            failures=tuple((f.cls, f.code, orjson.dumps(f.to_json())) for f in outcome.failures),
            results=item_results(outcome.failures),
            entities=orjson.dumps(outcome.entities).decode(),
            external_merchant=scope.merchant,
            external_store=scope.store,
            merchant_id=outcome.merchant_id,
            store_id=outcome.store_id,
            spec_hash=attempt.provider.spec_hash,
            replay=attempt.replay,
            claimant=work.holder or work.claimant,
            presences=outcome.presences,
            accepted=attempt.accepted,
        )

    def _concluded(self, attempt: Attempt, work: Work, committed: Committed) -> Concluded:
        provider, outcome = attempt.connection.provider, work.outcome
        # The commit may find that the work was done before, or that all of it is out of date.
        found: dict[State, Verdict] = {"duplicate": "duplicate", "stale": "stale", "parked": "parked"}
        verdict = found.get(committed.state, outcome.verdict)
        if verdict == "duplicate" and committed.holder:
            outcome = Outcome("duplicate")
        if committed.problem:
            outcome = outcome._replace(failures=(*outcome.failures, from_json(orjson.loads(committed.problem))))
        self._metrics.answered(provider, attempt.feed, verdict)
        self._metrics.written(provider, attempt.feed, committed.commands)
        for failure in outcome.failures:
            self._metrics.failed(provider, attempt.feed, failure.cls)
        return Concluded(verdict, committed.commands, work.reading, outcome, work.holder or committed.holder)


class Call(Protocol):
    """Calls a pure function of the engine elsewhere than here."""

    def __call__(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]: ...


def _failure(code: str, message: str, next_step: str) -> Failure:
    return Failure("processing", code, message, next_step)


def _internal_error() -> Outcome:
    failure = _failure(
        "internal_error",
        "Tiffin failed on this message.",
        "Look for the delivery's id in the logs, report the fault, and replay it once that is mended.",
    )
    return Outcome("failed", failures=(failure,))
