from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue

from flows.rounds import Backoff, Rest, Rounds

PATIENCE = 20.0
FOREVER = Rest(3600.0)


class Counted(Rounds):
    """Rounds that a test hands in, one after the other; `told` hears of each and of what came of it."""

    def __init__(self, *rounds: Callable[[], Rest], longest: float = 3600.0) -> None:
        super().__init__("counted", Backoff(1.0, longest))
        self._rounds = iter(rounds)
        self.told: SimpleQueue[object] = SimpleQueue()

    def next(self) -> object:
        return self.told.get(timeout=PATIENCE)

    def _round(self) -> Rest:
        self.told.put("round")
        return next(self._rounds)()

    def _failed(self, error: Exception, times: int, wait: float) -> None:
        self.told.put(("failed", times, wait))

    def _recovered(self, times: int) -> None:
        self.told.put(("recovered", times))

    def _ended(self) -> None:
        self.told.put("ended")


def fails() -> Rest:
    raise OSError("away")


def rests() -> Rest:
    return FOREVER


def test_each_failure_in_a_row_is_waited_for_twice_as_long_up_to_a_bound() -> None:
    rounds = Counted(fails, fails, fails, rests, fails, longest=3.0)
    waits = [rounds.attempt().seconds for _ in range(5)]
    assert waits == [1.0, 2.0, 3.0, FOREVER.seconds, 1.0]


def test_a_recovery_is_told_once_with_the_failures_before_it() -> None:
    rounds = Counted(fails, fails, rests, rests)
    for _ in range(4):
        rounds.attempt()
    told = [rounds.next() for _ in range(7)]
    assert [one for one in told if one != "round"] == [("failed", 1, 1.0), ("failed", 2, 2.0), ("recovered", 2)]


def test_jitter_takes_off_at_most_half() -> None:
    given = iter([0.0, 0.5])
    backoff = Backoff(8.0, 60.0, lambda: next(given))
    assert [backoff.after(1), backoff.after(1)] == [4.0, 6.0]


def test_a_stop_ends_a_rest() -> None:
    rounds = Counted(rests)
    rounds.start()
    assert rounds.next() == "round"
    assert rounds.stop(PATIENCE)
    assert rounds.next() == "ended"


def test_a_wake_ends_a_rest_that_says_so() -> None:
    rounds = Counted(lambda: Rest(3600.0, until_woken=True), rests)
    rounds.start()
    assert rounds.next() == "round"
    rounds.wake()
    assert rounds.next() == "round"
    assert rounds.stop(PATIENCE)


def test_a_failure_that_cannot_be_told_ends_nothing() -> None:
    class Untold(Counted):
        def _failed(self, error: Exception, times: int, wait: float) -> None:
            raise OSError("the log is full")

    rounds = Untold(fails, rests, longest=0.0)
    rounds.start()
    assert [rounds.next(), rounds.next()] == ["round", "round"]
    assert rounds.stop(PATIENCE)


def test_what_was_never_started_is_stopped() -> None:
    assert Counted().stop()
