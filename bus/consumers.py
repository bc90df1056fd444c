"""Reading a topic as one of a group: who reads which partitions is the bus's matter, from where the caller's.

Offsets stand where the reader's work stands, in its own transaction; the bus is only asked from there on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bus.log import EmbeddedLog
from bus.messages import Bus, Stored

Start = Callable[[int], int]
"""The offset at which the reading of a partition begins."""


class Consumer(Protocol):
    """One member of a group of readers. It is used by one thread."""

    def take(self, max: int) -> list[Stored]:
        """At most `max` messages of the partitions held, each partition in order; [] when nothing came.

        Raises BusUnavailable.
        """

    def restart(self) -> None:
        """Reads on from where `start` says: what was taken since is taken again."""

    def behind(self) -> int:
        """How many messages of the partitions held have not been taken. Raises BusUnavailable."""

    def close(self) -> None:
        """Leaves the group. The consumer is not used afterwards."""


class LogConsumer:
    """The only reader of every partition of a topic, of any bus."""

    def __init__(self, bus: Bus, topic: str, start: Start, *, owns: bool = False) -> None:
        """`owns`: closes the bus with itself."""
        self._bus, self._topic, self._start, self._owns = bus, topic, start, owns
        self._next: dict[int, int] = {}

    def take(self, max: int) -> list[Stored]:
        """See `Consumer.take`."""
        taken: list[Stored] = []
        for partition in range(self._bus.partitions(self._topic)):
            offset = self._offset(partition)
            messages = self._bus.read(self._topic, offset, max - len(taken), partition)
            if messages:
                self._next[partition] = messages[-1].offset + 1
                taken += messages
            if len(taken) >= max:
                break
        return taken

    def restart(self) -> None:
        """See `Consumer.restart`."""
        self._next = {}

    def behind(self) -> int:
        """See `Consumer.behind`."""
        partitions = range(self._bus.partitions(self._topic))
        return sum(max(0, self._bus.end_offset(self._topic, n) - self._offset(n)) for n in partitions)

    def close(self) -> None:
        """See `Consumer.close`."""
        if self._owns:
            self._bus.close()

    def _offset(self, partition: int) -> int:
        if partition not in self._next:
            self._next[partition] = self._start(partition)
        return self._next[partition]


def open_consumer(kafka_bootstrap: str | None, folder: Path, topic: str, group: str, start: Start) -> Consumer:
    """A member of a Kafka consumer group when bootstrap servers are given, else the reader of the embedded log.

    Raises BusUnavailable where the embedded log cannot be opened.
    """
    if kafka_bootstrap:
        from bus.kafka_groups import GroupConsumer

        return GroupConsumer(kafka_bootstrap, topic, group, start)
    return LogConsumer(EmbeddedLog(folder / "bus.db"), topic, start, owns=True)
