"""Reads a topic as a group of its own, on a thread of its own, and hands what comes to a consumer in batches.

The consumer writes what it makes of a batch and how far that is as one, so that neither a crash nor another reader
loses or doubles anything. Whatever fails is tried again, for ever. It rests far longer than it works, and longer
still while many webhooks are written: what is acknowledged comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from bus.consumers import Consumer, Start
from bus.messages import Stored
from flows.consume.health import ConsumerHealth
from flows.rounds import Backoff, Log, Rest, Rounds
from flows.turns import Turn
from stores.views import Advance


@dataclass(frozen=True, slots=True)
class FollowerPace:
    """How many messages a batch has, and how long the follower waits, in seconds.

    `rest` is how much longer than a batch it leaves the processor to others before the next one; `busy_rest` the
    same while many webhooks are written.
    """

    messages: int = 500
    rest: float = 4.0
    busy_rest: float = 19.0
    gather: float = 0.1
    poll: float = 0.5
    first_backoff: float = 0.5
    longest_backoff: float = 30.0


class Taker(Protocol):
    """What is done with messages."""

    def prepare(self) -> None:
        """Called once before the first batch."""

    def offsets(self) -> Mapping[int, int]:
        """The offset that comes next, by partition."""

    def take(self, messages: Sequence[Stored], moves: Sequence[Advance]) -> None:
        """Writes what comes of the messages, and the moves. Raises stores.views.Moved where others moved them."""

    def close(self) -> None: ...


class Follower(Rounds):
    """One reader of a topic."""

    def __init__(
        self,
        name: str,
        *,
        open_consumer: Callable[[Start], Consumer],
        open_taker: Callable[[], Taker],
        jitter: Callable[[], float],
        log: Log,
        busy: Callable[[], bool] = lambda: False,
        turn: Turn | None = None,
        pace: FollowerPace | None = None,
    ) -> None:
        """`turn` is for a bus that does not share its partitions out among the readers of a group."""
        self._pace = pace or FollowerPace()
        super().__init__(f"consume-{name}", Backoff(self._pace.first_backoff, self._pace.longest_backoff, jitter))
        self._name, self._open_consumer, self._open_taker = name, open_consumer, open_taker
        self._log, self._busy, self._turn = log, busy, turn
        self._ours = turn is None
        self._consumer: Consumer | None = None
        self._taker: Taker | None = None
        self._next: dict[int, int] = {}
        self._health = ConsumerHealth()

    @property
    def health(self) -> ConsumerHealth:
        return self._health

    def step(self) -> int:
        """One batch; returns how many messages it had. Raises what the bus, the database or the taker raise."""
        if self._turn is not None and not self._has_turn(self._turn):
            return 0
        if self._taker is None:
            taker = self._open_taker()
            taker.prepare()
            self._taker = taker
        if self._consumer is None:
            self._consumer = self._open_consumer(self._starting)
        try:
            messages = self._consumer.take(self._pace.messages)
            if messages:
                self._take(self._taker, messages)
            elif self._has_moved(self._taker):
                self._consumer.restart()
            behind = self._consumer.behind()
        except Exception:
            # What was taken is not known to be written.
            self._consumer.restart()
            raise
        self._health = ConsumerHealth("running", behind, self._health.done + len(messages))
        return len(messages)

    def close(self) -> None:
        """Leaves the group."""
        if self._turn is not None:
            self._turn.give_back()
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        if self._taker is not None:
            self._taker.close()
            self._taker = None

    def _has_turn(self, turn: Turn) -> bool:
        before, self._ours = self._ours, turn.mine()
        if self._ours and not before and self._consumer is not None:
            self._consumer.restart()  # another has read on meanwhile
        return self._ours

    def _starting(self, partition: int) -> int:
        assert self._taker is not None
        self._next[partition] = self._taker.offsets().get(partition, 0)
        return self._next[partition]

    def _has_moved(self, taker: Taker) -> bool:
        """Whether someone has moved an offset: the index was made again."""
        stored = taker.offsets()
        moved = [partition for partition, offset in self._next.items() if stored.get(partition, 0) != offset]
        for partition in moved:
            del self._next[partition]
        return bool(moved)

    def _take(self, taker: Taker, messages: Sequence[Stored]) -> None:
        ends = {message.partition: message.offset + 1 for message in messages}
        moves = [Advance(partition, self._next.get(partition, 0), end) for partition, end in sorted(ends.items())]
        taker.take(messages, moves)
        self._next.update(ends)

    def _round(self) -> Rest:
        started = perf_counter()
        if not self.step():
            return Rest(self._pace.poll)
        rest = self._pace.busy_rest if self._busy() else self._pace.rest
        return Rest(max(self._pace.gather, rest * (perf_counter() - started)))

    def _failed(self, error: Exception, times: int, wait: float) -> None:
        self._health = self._health._replace(state="backing_off", last_error=type(error).__name__)
        self._log.warning("consumer_failed", consumer=self._name, reason=repr(error), retry_in=wait)

    def _recovered(self, times: int) -> None:
        self._log.info("consumer_recovered", consumer=self._name, failures=times)

    def _ended(self) -> None:
        self._health = self._health._replace(state="stopped")
        try:
            self.close()
        except Exception as error:
            self._log.warning("consumer_not_closed", consumer=self._name, reason=repr(error))
