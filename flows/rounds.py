"""Rounds of work on a thread of their own, one behind the other, until they are stopped."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol


class Log(Protocol):
    """A structured log: an event's name and its facts."""

    def info(self, event: str, /, **facts: Any) -> Any: ...

    def warning(self, event: str, /, **facts: Any) -> Any: ...


class Rest(NamedTuple):
    """How long to wait before the next round. `until_woken`: `wake` ends it, not `stop` alone."""

    seconds: float
    until_woken: bool = False


class Backoff(NamedTuple):
    """How long to wait after failures: twice as long each time. `jitter` gives numbers in [0, 1); without it all
    wait the same."""

    first: float
    longest: float
    jitter: Callable[[], float] | None = None

    def after(self, times: int) -> float:
        """Seconds to wait after so many failures in a row."""
        longest = min(self.longest, self.first * 2.0 ** min(times - 1, 30))
        return longest if self.jitter is None else longest * (0.5 + self.jitter() / 2)


class Rounds(ABC):
    """What runs rounds says what one is, and tells how it does. Every failure is tried again, for ever."""

    def __init__(self, thread: str, backoff: Backoff) -> None:
        """`thread` is the thread's name."""
        self._backoff = backoff
        self._failures = 0
        self._waking, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=thread, daemon=True)

    def start(self) -> None:
        """Starts the thread. It ends by `stop` alone."""
        self._thread.start()

    def wake(self) -> None:
        """Says that there is something to do. Cheap; may be called from any thread."""
        self._waking.set()

    def stop(self, timeout: float | None = None) -> bool:
        """Ends after the round in hand. False: still busy after `timeout` seconds."""
        self._stopping.set()
        self._waking.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @abstractmethod
    def _round(self) -> Rest:
        """One round. Raises whatever it meets."""

    @abstractmethod
    def _failed(self, error: Exception, times: int, wait: float) -> None:
        """Called after a round that failed, as so many did before it; the next comes in `wait` seconds."""

    @abstractmethod
    def _recovered(self, times: int) -> None:
        """Called after the first round that went well again."""

    @abstractmethod
    def _ended(self) -> None:
        """Called after the last round."""

    def attempt(self) -> Rest:
        """One round, whatever comes of it."""
        try:
            rest = self._round()
        except Exception as error:
            self._failures += 1
            wait = self._backoff.after(self._failures)
            self._failed(error, self._failures, wait)
            return Rest(wait)
        if self._failures:
            self._recovered(self._failures)
            self._failures = 0
        return rest

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._waking.clear()
            try:
                rest = self.attempt()
            except Exception:  # a log that cannot be written to stops nothing either
                rest = Rest(self._backoff.longest)
            (self._waking if rest.until_woken else self._stopping).wait(rest.seconds)
        self._ended()
