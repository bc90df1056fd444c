"""Whose turn something is that one process does at a time, under a lease in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from flows.relay import Runs
from stores import leases


class Turn:
    """A lease that is prolonged while it is asked for, and taken over once its holder is silent.

    It spares work that would be void; who may write is decided by what is written, or by `write`, where that matters.
    """

    def __init__(
        self,
        name: str,
        owner: str,
        read: Runs,
        write: Runs,
        clock: Callable[[], datetime],
        *,
        seconds: float = 30.0,
        renewals: int = 3,
    ) -> None:
        """`owner` is unique among running processes. The lease stands for so many `seconds`, in which it is
        prolonged so many times."""
        self._name, self._owner = name, owner
        self._read, self._write, self._clock = read, write, clock
        self._lease = timedelta(seconds=seconds)
        self._renewals = renewals
        self._fence: int | None = None
        self._renew_at: datetime | None = None

    def mine(self) -> bool:
        """Whether it is this process's turn now. Raises what the database raises."""
        now = self._clock()
        if self._renew_at is not None and now < self._renew_at:
            return True
        self._renew_at = None
        if not self._read(lambda connection: leases.is_free(connection, self._name, self._owner, now)):
            return False
        until = now + self._lease
        self._fence = self._write(lambda connection: leases.take(connection, self._name, self._owner, now, until))
        if self._fence is None:
            return False
        self._renew_at = now + self._lease / self._renewals
        return True

    def write(self, job: Callable[[Connection], object]) -> bool:
        """Runs a job in a transaction; False, and nothing is done, where another has had the turn meanwhile."""
        fence = self._fence

        def fenced(connection: Connection) -> bool:
            if fence is None or not leases.stands(connection, self._name, self._owner, fence):
                return False
            job(connection)
            return True

        if self._write(fenced):
            return True
        self._renew_at = None
        return False

    def give_back(self) -> None:
        """Another may have it at once."""
        if self._renew_at is not None:
            self._renew_at = None
            self._write(lambda connection: leases.release(connection, self._name, self._owner))
