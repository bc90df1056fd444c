"""Feeds that get in each other's way, and provider names that do not fit the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from engine.checker.sites import Context
from engine.places import Place
from engine.problems import Problem
from engine.routes import PLACEHOLDER, overlap

_SEGMENT = r"(?:[A-Za-z0-9._~-]+|\{[A-Za-z][A-Za-z0-9_]*\})"
_URL_PART = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*/?\Z")


def feeds(context: Context) -> Iterator[Problem]:
    """`same_path`, `feed_name`, `body_of_get` and `file_name_differs`."""
    seen: list[tuple[str, str, str]] = []
    for name, feed in context.provider.feeds.items():
        if context.touched(("feeds", name)):
            continue
        path = feed.path or name
        place = context.place(("feeds", name, "path")) if feed.path else context.place(("feeds", name), key=True)
        yield from _url_part(path, place)
        for first, known, method in seen:
            if method == feed.method and overlap(known, path):
                message = f"{name} and {first} answer the same URL and method"
                yield Problem(place, "same_path", message, "give one of them another path")
                break
        seen.append((name, path, feed.method))
        if feed.method in ("GET", "HEAD") and tuple(feed.formats) != ("none",):
            message = f"a {feed.method} has no body"
            hint = "write accept: none; what it says stands in $request.query and $request.params"
            place = context.place(("feeds", name, "method"))
            yield Problem(place, "body_of_get", message, hint)
    for name, one in context.provider.handshakes.items():
        if one.path is not None and not context.touched(("handshakes", name, "path")):
            yield from _url_part(one.path, context.place(("handshakes", name, "path")))
    yield from _file_name(context)


def _url_part(path: str, place: Place) -> Iterator[Problem]:
    names = PLACEHOLDER.findall(path)
    if not _URL_PART.match(path):
        message = f"{str(path)!r} cannot stand in a URL"
        hint = "use letters, digits, - and _, and {name} for a whole segment; no / at the beginning"
        yield Problem(place, "feed_name", message, hint)
    elif len(names) != len(set(names)):
        message = f"a placeholder stands twice in {str(path)!r}"
        yield Problem(place, "feed_name", message, "give each another name")


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
