"""Moves failures from the database to the topic of failures: each once, sums of a minute where they may be many.

One process at a time does it, under a lease. A crash between publishing and marking publishes the same ids with
the same content again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from bus.messages import Bus, Message
from flows.failure_events import failure_message, sum_message
from flows.relay import Runs
from flows.rounds import Backoff, Log, Rest, Rounds
from flows.turns import Turn
from stores import failure_sums, failures
from stores.failure_sums import MINUTE
from stores.tables import micros, moment

LEASE = "failures"
ROWS = 1000
_POLL, _LONGEST_BACKOFF = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class FailureRelayHealth:
    """How it does. `published` counts events of this process."""

    state: Literal["starting", "running", "backing_off", "stopped"] = "starting"
    last_error: str = ""
    published: int = 0


class NotTaken(Exception):
    """The bus may take the oldest event later."""


class FailureRelay(Rounds):
    """The relay of failures of one process, on a thread of its own. See Relay for what is handed in."""

    def __init__(
        self,
        *,
        bus: Bus,
        topic: str,
        owner: str,
        read: Runs,
        write: Runs,
        clock: Callable[[], datetime],
        log: Log,
        poll: float = _POLL,
    ) -> None:
        super().__init__("failure-relay", Backoff(poll, _LONGEST_BACKOFF))
        self._bus, self._topic = bus, topic
        self._read, self._clock, self._log = read, clock, log
        self._poll = poll
        # A round has two calls to the bus, each shorter than a third of the lease.
        self._turn = Turn(LEASE, owner, read, write, clock, seconds=60.0, renewals=4)
        self.health = FailureRelayHealth()

    def move(self) -> int:
        """One round; returns how many events it moved. Raises what the bus or the database raise."""
        now = self._clock()
        if not self._read(lambda connection: _is_due(connection, _minute(now))) or not self._turn.mine():
            return 0
        return self._move_failures() + self._move_sums(_minute(now))

    def _move_failures(self) -> int:
        rows = self._read(lambda connection: failures.untold(connection, ROWS))
        ids = self._sent([row.id for row in rows], [failure_message(row) for row in rows])
        now = self._clock()
        return self._settle(ids, lambda connection: failures.told(connection, ids, now))

    def _move_sums(self, minute: datetime) -> int:
        if self._read(lambda connection: failure_sums.open_before(connection, minute)):
            self._settle([0], lambda connection: failure_sums.close(connection, minute))
        sums = self._read(lambda connection: failure_sums.closed(connection, ROWS))
        ids = self._sent([one.id for one in sums], [sum_message(one) for one in sums])
        return self._settle(ids, lambda connection: failure_sums.told(connection, ids))

    def _sent(self, ids: Sequence[int], messages: Sequence[Message]) -> list[int]:
        """The rows whose message is on the bus, or never will be: up to the first that may still get there."""
        reports = self._bus.publish(self._topic, messages) if messages else []
        settled: list[int] = []
        for id, report in zip(ids, reports, strict=True):
            if report is not None:
                self._log.warning("failure_not_told", row=id, code=report.code, reason=report.message)
            if report is not None and not report.permanent:
                if not settled:
                    raise NotTaken(f"{report.code}: {report.message}")
                break
            settled.append(id)
        return settled

    def _settle(self, ids: Sequence[int], job: Callable[[Connection], object]) -> int:
        if not ids:
            return 0
        return len(ids) if self._turn.write(job) else 0

    def _round(self) -> Rest:
        moved = self.move()
        self.health = FailureRelayHealth("running", "", self.health.published + moved)
        return Rest(0 if moved >= ROWS else self._poll)

    def _failed(self, error: Exception, times: int, wait: float) -> None:
        said = f"{type(error).__name__}: {error}"
        self.health = dataclasses.replace(self.health, state="backing_off", last_error=said)
        self._log.warning("failure_relay_failed", reason=repr(error), failures=times, retry_in=wait)

    def _recovered(self, times: int) -> None:
        self._log.info("failure_relay_recovered", failures=times)

    def _ended(self) -> None:
        self.health = dataclasses.replace(self.health, state="stopped")
        try:
            self._turn.give_back()
        except Exception as error:
            self._log.warning("failure_relay_kept_its_lease", reason=repr(error))


def _minute(at: datetime) -> datetime:
    """The beginning of the minute."""
    whole = micros(at)
    return moment(whole - whole % MINUTE)


def _is_due(connection: Connection, minute: datetime) -> bool:
    """Whether anything waits to be told."""
    return bool(
        failures.untold(connection, 1)
        or failure_sums.closed(connection, 1)
        or failure_sums.open_before(connection, minute)
    )
