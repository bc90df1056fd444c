"""How the consumers do, as the serving process hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

State = Literal["starting", "running", "backing_off", "stopped"]


class ConsumerHealth(NamedTuple):
    """`behind` is how many messages (of the copy: entities) wait; `done` how many were taken since the start."""

    state: State = "starting"
    behind: int = 0
    done: int = 0
    last_error: str = ""

    @property
    def backing_off(self) -> bool:
        return self.state in ("backing_off", "stopped")


class ConsumersHealth(NamedTuple):
    """By the consumer's name."""

    by_name: Mapping[str, ConsumerHealth]
