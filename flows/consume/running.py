"""The consumers of one writing process: made, started and stopped together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from engine.views import Entity
from flows.consume.health import ConsumerHealth, ConsumersHealth
from flows.logging import logger
from flows.relay import Runs
from stores.views import Advance

STOP_SECONDS = 10.0


class Options(NamedTuple):
    """What is consumed, and where it goes."""

    redis_url: str = ""


class Consumer(Protocol):
    """What runs on a thread of its own beside the projection."""

    @property
    def health(self) -> ConsumerHealth: ...
    def start(self) -> None: ...
    def stop(self, timeout: float | None = None) -> None: ...


class Consumers:
    """By name. `written` takes what the projection has committed."""

    def __init__(self, options: Options, read: Runs, write: Runs) -> None:
        self.by_name: dict[str, Consumer] = {}
        self.written: Callable[[Sequence[Advance], Sequence[Entity]], None] = lambda _moves, _entities: None
        if options.redis_url:
            # Imported here because it is of no use to a set-up without Redis.
            from flows.consume.copier import Copier

            log: Any = logger("tiffin.views")
            copier = Copier(options.redis_url, read, write, log)
            self.written, self.by_name["copy"] = copier.written, copier

    @property
    def health(self) -> ConsumersHealth:
        return ConsumersHealth({name: one.health for name, one in self.by_name.items()})

    def start(self) -> None:
        for one in self.by_name.values():
            one.start()

    def stop(self) -> None:
        for one in self.by_name.values():
            one.stop(STOP_SECONDS)
