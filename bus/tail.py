"""Follows a topic: every message once, from a place on."""

from __future__ import annotations

from bus.messages import Bus, Stored


class Tail:
    """Reads a topic's partitions in turn and remembers how far it came.

    It starts at the end, or at the oldest message with `from_beginning`. `positions` is the next offset
    of each partition, to be handed back as `resume_at` by a reader that keeps its place.
    """

    def __init__(self, bus: Bus, topic: str, *, from_beginning: bool = False, resume_at: tuple[int, ...] = ()) -> None:
        self._bus, self._topic = bus, topic
        count = bus.partitions(topic)
        if from_beginning or resume_at:
            self._next = [*resume_at, *([0] * count)][:count]
        else:
            self._next = [bus.end_offset(topic, partition) for partition in range(count)]

    @property
    def positions(self) -> tuple[int, ...]:
        """The next offset of each partition."""
        return tuple(self._next)

    def take(self, max: int) -> list[Stored]:
        """What came since the last call, at most `max`; each partition in order. Raises BusUnavailable."""
        taken: list[Stored] = []
        for partition, offset in enumerate(self._next):
            messages = self._bus.read(self._topic, offset, max - len(taken), partition)
            if messages:
                self._next[partition] = messages[-1].offset + 1
                taken += messages
            if len(taken) >= max:
                break
        return taken
