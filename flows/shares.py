"""How many requests of one connection may be under way at once: its share of what the process takes.

A sender whose messages are slow to work on fills the queue without ever passing a rate. What is under way is
counted from when a request has verified until it is answered; beyond the share it gets busy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from engine.messages import Connection

SETTING: Final = "share_percent"
"""The connection's own share, in its settings."""


class ShareFull(Exception):
    """As many requests of the connection are under way as it may have."""


class Shares:
    """The shares of one process. `room` is how many requests are under way at the most; `percent` the default
    share. Belongs to one event loop."""

    def __init__(self, room: int, percent: int) -> None:
        self._room, self._percent = room, percent
        self.under_way: Counter[str] = Counter()

    @contextmanager
    def one_of(self, connection: Connection) -> Iterator[None]:
        """Counts a request while it is under way. Raises ShareFull."""
        id = connection.id
        if self.under_way[id] >= self.most(connection):
            raise ShareFull(id)
        self.under_way[id] += 1
        try:
            yield
        finally:
            self.under_way[id] -= 1
            if not self.under_way[id]:
                del self.under_way[id]

    def most(self, connection: Connection) -> int:
        """So many requests of a connection may be under way: one at the least."""
        own = connection.settings.get(SETTING)
        percent = own if type(own) is int and 1 <= own <= 100 else self._percent
        return max(1, self._room * percent // 100)
