"""Whose turn something is that one process does at a time, under a lease in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from flows.relay import Runs
from stores import leases

_SECONDS = 30.0


class Turn:
    """A lease that is prolonged while it is asked for, and taken over once its holder is silent.

    It spares work that would be void; who may write is decided by what is written, where that matters.
    """

    def __init__(self, name: str, owner: str, read: Runs, write: Runs, clock: Callable[[], datetime]) -> None:
        """`owner` is unique among running processes."""
        self._name, self._owner = name, owner
        self._read, self._write, self._clock = read, write, clock
        self._renew_at: datetime | None = None

    def mine(self) -> bool:
        """Whether it is this process's turn now. Raises what the database raises."""
        now = self._clock()
        if self._renew_at is not None and now < self._renew_at:
            return True
        self._renew_at = None
        if not self._read(lambda connection: leases.is_free(connection, self._name, self._owner, now)):
            return False
        until = now + timedelta(seconds=_SECONDS)
        if self._write(lambda connection: leases.take(connection, self._name, self._owner, now, until)) is None:
            return False
        self._renew_at = now + timedelta(seconds=_SECONDS / 3)
        return True

    def give_back(self) -> None:
        """Another may have it at once."""
        if self._renew_at is not None:
            self._renew_at = None
            self._write(lambda connection: leases.release(connection, self._name, self._owner))
