"""Takes fetches that are due, and each page of them in as a delivery.

A job stands until its last page is received: it is leased, goes on from the page where a process died, and is tried
again with growing pauses while the provider cannot be asked.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

import orjson

from engine.decoding import decode
from engine.failures import Failure, Refusal
from engine.fetching import Ask, Expressions, FetchRefused, FetchRule, first_ask, next_ask, next_link
from engine.messages import Connection
from flows.connections import Directory
from flows.journal import Journal, QueueFull, StoreUnavailable
from flows.logging import logger
from flows.providers import LoadedProvider
from flows.receive import Receiver, new_id
from flows.refreshing.asking import NEXT_STEPS, Asking, since
from flows.refreshing.pace import Pace
from flows.refreshing.pages import Pages, TryAgain
from flows.refreshing.wanted import Rules, Wanted
from flows.sealing import opened
from stores import fetch_jobs
from stores.fetch_jobs import Job
from stores.payloads import PayloadLost
from stores.writer import Work

AT_ONCE = 4
MOST_ATTEMPTS = 12
FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 900.0
LONGEST_WAIT = 5.0
"""Seconds that a job waits in hand for its connection's turn; beyond it another may have the place."""
_POLL_SECONDS = 0.5
_PRUNE_SECONDS = 3600.0
_KEPT = timedelta(days=7)

_log = logger("tiffin.fetch")


class _Lost(Exception):
    """Another process has the job by now, or somebody cancelled it."""


class Turn(NamedTuple):
    """A job with what serves it."""

    job: Job
    rule: FetchRule
    loaded: LoadedProvider
    connection: Connection

    @property
    def expressions(self) -> Expressions:
        return Expressions(self.connection.settings, self.loaded.interpreter.engine)


class Fetcher:
    """Fetches for one process. `results` counts requests by what came of them."""

    def __init__(
        self,
        owner: str,
        rules: Rules,
        wanted: Wanted,
        providers: dict[str, LoadedProvider],
        directory: Directory,
        journal: Journal,
        receiver: Receiver,
        pages: Pages,
        clock: Callable[[], datetime],
        *,
        max_body: int,
        lease: float,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._owner, self._rules, self._wanted, self._providers = owner, rules, wanted, providers
        self._directory, self._journal, self._receiver, self._clock = directory, journal, receiver, clock
        self._asking, self._pace = Asking(pages, receiver, clock, max_body), Pace(monotonic)
        self._lease, self._jitter = timedelta(seconds=lease), jitter
        self._working: dict[str, asyncio.Task[None]] = {}
        self._prune_at = self._renew_at = 0.0
        self.results: Counter[str] = Counter()

    async def run(self) -> None:
        """Fetches until it is cancelled; every outage is survived."""
        try:
            while True:
                try:
                    await self.step()
                except StoreUnavailable:
                    _log.warning("store_unavailable")
                except Exception:
                    _log.exception("fetches_not_taken")
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            await self.close()

    async def close(self) -> None:
        """Lets go of what is in hand: whoever comes next goes on with it."""
        tasks = list(self._working.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if tasks:
            await self._safely(Work(fetch_jobs.release, self._owner))

    async def step(self) -> list[asyncio.Task[None]]:
        """Begins what is due, as far as there is room; what it began. Raises StoreUnavailable."""
        await self._poll()
        await self._keep()
        room = AT_ONCE - len(self._working)
        now = self._clock()
        if room <= 0 or not await self._journal.read(partial(fetch_jobs.is_due, now=now)):
            return []
        fresh = [new_id(now) for _ in range(room)]
        taken = await self._journal.write(Work(fetch_jobs.take, self._owner, now, now + self._lease, fresh))
        return [self._begin(job) for job in taken]

    async def _poll(self) -> None:
        if polls := await self._wanted.polls():
            standing = await self._journal.read(fetch_jobs.polled)
            if new := [poll for poll in polls if poll.what not in standing]:
                await self._journal.write(Work(fetch_jobs.add, new))

    async def _keep(self) -> None:
        """Prolongs leases in hand, and forgets old jobs now and then."""
        now = monotonic()
        if self._working and now >= self._renew_at:
            self._renew_at = now + self._lease.total_seconds() / 3
            until = self._clock() + self._lease
            await self._journal.write(Work(fetch_jobs.renew, self._owner, sorted(self._working), until))
        if now >= self._prune_at:
            self._prune_at = now + _PRUNE_SECONDS
            await self._journal.write(Work(fetch_jobs.prune, self._clock() - _KEPT))

    def _begin(self, job: Job) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._work(job))
        self._working[job.id] = task
        task.add_done_callback(lambda _: self._working.pop(job.id, None))
        return task

    async def _work(self, job: Job) -> None:
        """Fetches what is left of a job."""
        try:
            await self._fetch(job)
        except _Lost:
            _log.info("fetch_left", job=job.id)
        except TryAgain as error:
            await self._later(job, error)
        except FetchRefused as error:
            await self._give_up(job, error.code, str(error))
        except (QueueFull, StoreUnavailable):
            await self._postpone(job, 5.0, "busy", tries=0)
        except Exception as error:
            _log.exception("fetch_failed", job=job.id)
            await self._later(job, TryAgain("fetch_broke_off", f"it broke off ({type(error).__name__})"))

    async def _fetch(self, job: Job) -> None:
        turn = await self._turn(job)
        if turn is None:
            return
        if (held := self._pace.held(job.connection)) > LONGEST_WAIT:
            await self._postpone(job, held, job.last_error, tries=0)
            return
        following: Ask | None
        if job.next:
            following = Ask.from_text(job.next)
        else:
            covered = await self._journal.read(lambda transaction: fetch_jobs.covered(transaction, job.what))
            following = first_ask(turn.rule.fetch, since(job, covered), turn.expressions)
        number = job.pages if job.next else 0
        while following is not None:
            number += 1
            following, turn = await self._page(turn, following, number)
        _log.info("fetched", job=job.id, provider=job.provider, pages=number)

    async def _turn(self, job: Job) -> Turn | None:
        """What serves the job; None, and the job is dealt with, where nothing does any more."""
        rule = self._rules.get(job.provider, job.feed, job.kind)
        connection = (await self._directory.current()).by_id.get(job.connection)
        if rule is not None and connection is not None and (not job.every or rule.fetch.every == job.every):
            return Turn(job, rule, self._providers[job.provider], connection)
        if job.every:
            _log.info("poll_dropped", job=job.id, provider=job.provider)
            await self._safely(Work(fetch_jobs.drop, job.id))
            return None
        raise FetchRefused("fetch_unserved", "its rule or its connection is gone")

    async def _page(self, turn: Turn, ask: Ask, number: int) -> tuple[Ask | None, Turn]:
        """Receives a page; what to ask for next, and the job as it then stands."""
        job, fetch = turn.job, turn.rule.fetch
        request = await self._received(turn)
        if request is None:
            await self._pace.turn(job.connection, fetch.rate)
            request = await self._asking.ask(turn.rule, turn.loaded, turn.connection, job, ask, number)
            self.results["page" if request else "empty"] += 1
            if request is not None:
                await self._asking.take_in(turn.loaded, fetch.feed, request, turn.connection, job.delivery)
        following = await self._following(turn, ask, number, request) if request else None
        if following is None:
            page = (number if request else number - 1, self._clock())
            done = await self._journal.write(Work(fetch_jobs.finish, job, self._owner, page))
        else:
            if following == ask or number >= fetch.most:
                reason = "the next page is the same one" if following == ask else f"more than {fetch.most} pages"
                raise FetchRefused("fetch_endless", f"it does not end: {reason}")
            fresh, page = new_id(self._clock()), (number, self._clock())
            step = Work(fetch_jobs.advance, job, self._owner, page, following.as_text(), fresh)
            done = await self._journal.write(step)
            turn = turn._replace(job=job._replace(delivery=fresh, next=following.as_text(), pages=number))
        if not done:
            raise _Lost
        return following, turn

    async def _received(self, turn: Turn) -> Any:
        """The page as it was received before a process died; None where it was not."""
        stored = await self._journal.stored(turn.job.delivery)
        if stored is None:
            return None
        try:
            return opened(await self._journal.whole(stored), self._journal.unseal)
        except PayloadLost as lost:
            raise FetchRefused("fetch_page_lost", str(lost)) from None

    async def _following(self, turn: Turn, ask: Ask, number: int, request: Any) -> Ask | None:
        fetch = turn.rule.fetch
        feed = turn.loaded.interpreter.feeds[fetch.feed].feed
        try:
            document = await self._receiver.apart(len(request.body), decode, feed, request)
        except Refusal as refusal:
            reason = f"page {number} cannot be read: {refusal.failure.message.rstrip('.')}; see {turn.job.delivery}"
            raise FetchRefused("fetch_unreadable", reason) from None
        link = next((value.decode("latin-1") for name, value in request.headers if name == b"link"), "")
        return next_ask(fetch, ask, number, document, next_link(link), turn.expressions)

    # ---- what becomes of a job that is not done ----

    async def _later(self, job: Job, error: TryAgain) -> None:
        self.results["again"] += 1
        current = await self._attempts(job)
        if current + 1 >= MOST_ATTEMPTS:
            await self._give_up(job, error.code, f"{error}, {MOST_ATTEMPTS} times in turn")
            return
        backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0**current) * (0.5 + self._jitter() / 2)
        wait = backoff if error.after is None else max(error.after, 0.1)
        if error.after is not None:
            self._pace.hold(job.connection, wait)
        _log.warning("fetch_again", job=job.id, provider=job.provider, reason=str(error), retry_in=round(wait, 1))
        await self._postpone(job, wait, str(error))

    async def _attempts(self, job: Job) -> int:
        try:
            found = await self._journal.read(lambda transaction: fetch_jobs.get(transaction, job.id))
        except StoreUnavailable:
            return job.attempts
        return found.attempts if found else 0

    async def _give_up(self, job: Job, code: str, reason: str) -> None:
        self.results["failed"] += 1
        _log.warning("fetch_given_up", job=job.id, provider=job.provider, code=code, reason=reason)
        step = NEXT_STEPS.get(code, "Mend the cause").format(connection=job.connection)
        failure = Failure(
            "processing",
            code,
            f"What changed could not be fetched: {reason}.",
            f"{step}, then: tiffin fetch retry {job.id}",
            facts={"job": job.id},
        )
        told = orjson.loads(orjson.dumps(failure.to_json()))
        await self._safely(Work(fetch_jobs.give_up, job, self._owner, self._clock(), reason, told))

    async def _postpone(self, job: Job, seconds: float, reason: str, *, tries: int = 1) -> None:
        due = self._clock() + timedelta(seconds=seconds)
        await self._safely(Work(fetch_jobs.postpone, job.id, self._owner, due, reason, tries))

    async def _safely(self, work: Work) -> None:
        try:
            await self._journal.write(work)
        except StoreUnavailable:
            _log.warning("store_unavailable")  # the lease ends by itself
