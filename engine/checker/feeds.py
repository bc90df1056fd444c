"""Feeds that get in each other's way, and provider names that do not fit the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from engine.checker.sites import Context
from engine.problems import Problem


def feeds(context: Context) -> Iterator[Problem]:
    """`same_path`, `feed_name`, `file_name_differs` and `idempotency_of_questions`."""
    seen: dict[tuple[str, str], str] = {}
    for name, feed in context.provider.feeds.items():
        place = context.document.place_of(("feeds", name), key=True)
        if not name or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in name):
            yield Problem(place, "feed_name", f"{name!r} cannot stand in a URL", "use letters, digits, - and _")
        if (first := seen.setdefault((feed.path or name, feed.method), name)) != name:
            yield Problem(place, "same_path", f"{name} and {first} answer the same URL", "give one of them another path")
    stem = PurePath(context.document.file).stem
    if stem and context.document.file.endswith((".yaml", ".yml")) and stem != context.provider.provider:
        place = context.document.place_of(("provider",))
        yield Problem(
            place, "file_name_differs", f"the file is named {stem}", f"name it {context.provider.provider}.yaml", "warning"
        )
