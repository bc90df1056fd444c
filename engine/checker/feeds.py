"""Feeds that get in each other's way, and provider names that do not fit the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from engine.checker.sites import Context
from engine.problems import Problem

_URL_PART = re.compile(r"[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*\Z")


def feeds(context: Context) -> Iterator[Problem]:
    """`same_path`, `feed_name` and `file_name_differs`."""
    seen: dict[tuple[str, str], str] = {}
    for name, feed in context.provider.feeds.items():
        place = context.place(("feeds", name), key=True)
        if context.touched(("feeds", name)):
            continue
        if not _URL_PART.match(feed.path or name):
            if feed.path:
                place = context.place(("feeds", name, "path"))
            message = f"{str(feed.path or name)!r} cannot stand in a URL"
            yield Problem(place, "feed_name", message, "use letters, digits, - and _; no / at either end")
        if (first := seen.setdefault((feed.path or name, feed.method), name)) != name:
            message = f"{name} and {first} answer the same URL and method"
            place = context.place(("feeds", name, "path")) if feed.path else place
            yield Problem(place, "same_path", message, "give one of them another path")
    yield from _file_name(context)


def _file_name(context: Context) -> Iterator[Problem]:
    file, name = PurePath(context.document.file), context.provider.provider
    if file.suffix in (".yaml", ".yml") and file.stem != name and not context.touched(("provider",)):
        message = f"the provider is named {name}, its file {file.name}"
        yield Problem(
            context.place(("provider",)),
            "file_name_differs",
            message,
            f"name the file {name}.yaml",
            "warning",
        )
