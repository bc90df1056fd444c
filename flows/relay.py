"""Moves commands and events from the outbox to the bus: every one, in the order of its topic and Kafka key.

A round leases shards, reads their oldest rows, publishes them as one batch and marks what the bus
reported, for each shard up to the first failed report; the next round resumes there. A crash between
publishing and marking publishes the same ids again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice, repeat
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection

from bus.messages import Bus, Message, PublishError
from flows import tracing
from flows.rounds import Backoff, Log, Rest, Rounds
from stores import outbox, shards
from stores.outbox import Pending, Rejected, Unreadable
from stores.shards import Lease

T = TypeVar("T")


class Runs(Protocol):
    """Runs a job on a database connection and returns what it returns; commits after a write."""

    def __call__(self, job: Callable[[Connection], T], /) -> T: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a round takes, in rows and bytes, and how long the relay waits, in seconds.

    `gather` is the pause after a round that was not full, in which the next rows gather; `poll` the
    longest sleep without a wake-up; `lease` must exceed what a bus may need to report on a batch.
    """

    rows: int = 8000
    size: int = 8 << 20
    gather: float = 0.2
    poll: float = 1.0
    lease: float = 60.0
    first_backoff: float = 0.5
    longest_backoff: float = 30.0


@dataclass(frozen=True, slots=True)
class RelayHealth:
    """How the relay does. `behind_since` is when the oldest row was written that the last round read and
    could not move; None when it moved everything. `published` and `parked` count commands and rows."""

    state: Literal["starting", "running", "backing_off", "stopped"] = "starting"
    last_error: str = ""
    behind_since: datetime | None = None
    published: int = 0
    parked: int = 0


class Settlement(NamedTuple):
    """What a round's reports mean for its rows; `stopped` is each stopped shard's first failed report."""

    published: list[Pending]
    rejected: list[tuple[Pending | Unreadable, Rejected]]
    stopped: dict[int, PublishError]
    left: list[Pending]


class Stall(NamedTuple):
    """A shard that waits after a failed report: until when, and how many times in a row."""

    until: datetime
    times: int


class Relay(Rounds):
    """The relay of one process, on a thread of its own.

    `read` runs a job on a connection of the relay's own; `write` runs it in a transaction and returns
    after the commit (on SQLite in the group writer's). `owner` is unique among running relays and the
    same after a restart, which then takes its shards back at once. `clock` gives aware UTC times,
    `jitter` numbers in [0, 1).
    """

    def __init__(
        self,
        *,
        bus: Bus,
        owner: str,
        read: Runs,
        write: Runs,
        clock: Callable[[], datetime],
        jitter: Callable[[], float],
        log: Log,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        super().__init__("relay", Backoff(self._pace.first_backoff, self._pace.longest_backoff, jitter))
        self._bus, self._owner = bus, owner
        self._read, self._write = read, write
        self._clock, self._log = clock, log
        self._leases: dict[int, Lease] = {}
        self._renew_at: datetime | None = None
        self._publish_until: datetime | None = None
        self._stalls: dict[int, Stall] = {}
        self._full = False
        self._health = RelayHealth()
        self.on_moved: Callable[[], None] = lambda: None
        """Called from the relay's thread after a round that moved rows."""

    @property
    def health(self) -> RelayHealth:
        """How it does now. May be asked from any thread."""
        return self._health

    def move(self) -> int:
        """One round; returns how many rows left the outbox. Raises what the bus or the database raise."""
        self._hold()
        now = self._clock()
        ready = [n for n in self._leases if n not in self._stalls or self._stalls[n].until <= now]
        rows, unreadable = self._read(
            lambda connection: outbox.pending(connection, ready, self._pace.rows, self._pace.size)
        )
        if self._late():
            return 0
        self._full = self._is_full(rows)
        began = tracing.now()
        try:
            settlement = settle(rows, self._publish(rows), unreadable)
        except Exception:
            self._health = self._with(behind_since=rows[0].created_at)
            raise
        moved = self._settle(settlement) if rows or unreadable else self._note(settlement)
        tracing.passed("relay", (row.events[0] for row in settlement.published if row.events), began)
        return moved

    def _hold(self) -> None:
        now = self._clock()
        if self._renew_at is not None and now < self._renew_at:
            return
        until = now + timedelta(seconds=self._pace.lease)
        if self._renew_at is None:
            self._write(lambda connection: self._enter(connection, now))
        held = list(self._leases.values())
        leases = self._write(lambda connection: shards.hold(connection, self._owner, held, now, until))
        self._leases = {lease.shard: lease for lease in leases}
        self._renew_at = now + timedelta(seconds=self._pace.lease / 3)
        self._publish_until = now + timedelta(seconds=self._pace.lease / 2)

    def _enter(self, connection: Connection, now: datetime) -> None:
        shards.ensure(connection, now)
        shards.leave(connection, self._owner)  # what an earlier start of this relay held when it was killed

    def _is_full(self, rows: Sequence[Pending]) -> bool:
        """Whether more rows wait, as far as their number and size can tell."""
        return len(rows) >= self._pace.rows or 2 * sum([sum(map(len, row.events)) for row in rows]) >= self._pace.size

    def _late(self) -> bool:
        """Whether a lease could run out while the bus takes its time to report."""
        return self._publish_until is None or self._clock() >= self._publish_until

    def _publish(self, rows: Sequence[Pending]) -> list[PublishError | None]:
        """The reports on all messages of the rows, in order, whichever topics they went to."""
        by_topic: dict[str, list[Message]] = {}
        for row in rows:
            own = zip(row.ids, repeat(row.kafka_key.encode()), row.events, chain((False,), repeat(True)))
            by_topic.setdefault(row.topic, []).extend(map(Message._make, own))
        reports = {topic: iter(self._bus.publish(topic, messages)) for topic, messages in by_topic.items() if messages}
        return [report for row in rows for report in islice(reports.get(row.topic, iter(())), len(row.ids))]

    def _settle(self, settlement: Settlement) -> int:
        now = self._clock()
        standing = self._write(lambda connection: self._record(connection, settlement, now))
        if len(standing) < len(self._leases):
            self._leases = {n: lease for n, lease in self._leases.items() if n in standing}
            self._renew_at = now
            settlement = within(settlement, standing)
        for row, rejected in settlement.rejected:
            self._log.warning("outbox_row_parked", delivery=row.delivery, code=rejected.code, reason=rejected.message)
        for row in settlement.published:
            self._stalls.pop(row.shard, None)
        for shard, error in settlement.stopped.items():
            self._stall(shard, error, now)
        return self._note(settlement)

    def _stall(self, shard: int, error: PublishError, now: datetime) -> None:
        times = self._stalls[shard].times + 1 if shard in self._stalls else 1
        self._stalls[shard] = Stall(now + timedelta(seconds=self._backoff.after(times)), times)
        self._log.warning("shard_stopped", shard=shard, code=error.code, reason=error.message, times=times)

    def _record(self, connection: Connection, settlement: Settlement, at: datetime) -> frozenset[int]:
        standing = shards.standing(connection, self._owner, self._leases.values())
        kept = within(settlement, standing)
        outbox.mark_published(connection, [row.id for row in kept.published], at)
        outbox.park(connection, [rejected for _, rejected in kept.rejected], at)
        return standing

    def _note(self, settlement: Settlement) -> int:
        """Tells the health what a round did; returns how many rows it moved."""
        before = self._health
        self._stalls = {n: stall for n, stall in self._stalls.items() if n in self._leases}
        error = next((f"{e.code}: {e.message}" for e in settlement.stopped.values()), before.last_error)
        behind = before.behind_since if self._stalls else None
        self._health = RelayHealth(
            "backing_off" if self._stalls else "running",
            error if self._stalls else "",
            min((row.created_at for row in settlement.left), default=behind),
            before.published + sum(len(row.ids) for row in settlement.published),
            before.parked + len(settlement.rejected),
        )
        if settlement.published:
            self.on_moved()
        return len(settlement.published) + len(settlement.rejected)

    def _with(self, **changes: Any) -> RelayHealth:
        return dataclasses.replace(self._health, **changes)

    def _round(self) -> Rest:
        moved = self.move()
        if moved:
            return Rest(0 if self._full else self._pace.gather)
        return Rest(self._pace.poll, until_woken=True)

    def _failed(self, error: Exception, times: int, wait: float) -> None:
        self._health = self._with(state="backing_off", last_error=f"{type(error).__name__}: {error}")
        self._log.warning("relay_failed", reason=repr(error), failures=times, retry_in=wait)

    def _recovered(self, times: int) -> None:
        self._log.info("relay_recovered", failures=times)

    def _ended(self) -> None:
        self._health = self._with(state="stopped")
        try:
            self._write(lambda connection: shards.leave(connection, self._owner))
        except Exception as error:
            self._log.warning("relay_kept_its_leases", reason=repr(error))


def settle(
    rows: Sequence[Pending], reports: Sequence[PublishError | None], unreadable: Sequence[Unreadable] = ()
) -> Settlement:
    """What the reports on the rows' messages, in order, mean for the rows.

    A row is published when the bus has all its messages, rejected when it refused one for good, and
    stops its shard when one may still go through: then it and the shard's later rows are left.
    """
    rejected: list[tuple[Pending | Unreadable, Rejected]] = [(row, _unreadable(row)) for row in unreadable]
    if not any(reports) and len(reports) == sum([len(row.ids) for row in rows]):
        return Settlement(list(rows), rejected, {}, [])
    settlement = Settlement([], rejected, {}, [])
    at = 0
    for row in rows:
        own = reports[at : at + len(row.ids)]
        at += len(row.ids)
        if row.shard in settlement.stopped:
            settlement.left.append(row)
            continue
        failed = [(id, report) for id, report in zip(row.ids, own, strict=True) if report is not None]
        passing = next((report for _, report in failed if not report.permanent), None)
        if passing is not None:
            settlement.stopped[row.shard] = passing
            settlement.left.append(row)
        elif failed:
            rejected.append((row, _rejection(row, failed)))
        else:
            settlement.published.append(row)
    return settlement


def within(settlement: Settlement, standing: frozenset[int]) -> Settlement:
    """The part of a settlement that concerns shards whose lease still stands."""
    return Settlement(
        [row for row in settlement.published if row.shard in standing],
        [pair for pair in settlement.rejected if pair[0].shard in standing],
        {shard: error for shard, error in settlement.stopped.items() if shard in standing},
        [row for row in settlement.left if row.shard in standing],
    )


def _rejection(row: Pending, failed: Sequence[tuple[str, PublishError]]) -> Rejected:
    first = failed[0][1]
    facts: dict[str, object] = {"ids": [id for id, _ in failed], "kafka_key": row.kafka_key}
    return Rejected(row.id, first.code, first.message, facts)


def _unreadable(row: Unreadable) -> Rejected:
    return Rejected(row.id, "outbox_row_unreadable", "the row's ids and events do not match", {"row": row.id})
