"""Events that make nothing."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context
from engine.problems import Problem


def events(context: Context) -> Iterator[Problem]:
    """`event_does_nothing`: a message that emits nothing is parked, every time."""
    for name, feed in context.provider.feeds.items():
        for key, event in (feed.events or {}).items():
            path = ("feeds", name, "events", key)
            broken = any(hole[: len(path)] == path for hole in context.holes)
            if not event.commands and not event.ignore and not feed.commands and not broken:
                message = f"the event {str(key)!r} has no commands, so every such message is parked"
                hint = "add commands, or ignore: and why"
                yield Problem(context.place(path, key=True), "event_does_nothing", message, hint, "warning")
