"""Handshakes that would swallow deliveries, can never be met, or show what nobody should open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.checker.sites import Context
from engine.checker.syntax import LONGEST
from engine.jsonata import JsonataError, reads
from engine.model import Expression, Handshake, ShownUrl
from engine.problems import Problem
from engine.yaml12 import Path

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_HOST = re.compile(r"(?:\*|[a-z0-9-]+)(?:\.(?:\*|[a-z0-9-]+))*\.[a-z0-9-]*[a-z][a-z0-9-]*\Z")
_BODILESS = ("GET", "HEAD")


def handshakes(context: Context) -> Iterator[Problem]:
    """`handshake_name`, `handshake_takes_all`, `handshake_body` and `host_pattern`."""
    for name, one in context.provider.handshakes.items():
        path = ("handshakes", name)
        yield from _name(context, name, path)
        yield from _takes_all(context, one, path)
        if one.method in _BODILESS and one.format != "none" and not context.touched((*path, "accept")):
            message = f"a {one.method} has no body, so that this is never met"
            yield Problem(context.place((*path, "accept")), "handshake_body", message, "leave accept out")
        for key, shown in one.show.items():
            if isinstance(shown, ShownUrl):
                yield from _hosts(context, shown, (*path, "show", key, "hosts"))


def _name(context: Context, name: str, path: Path) -> Iterator[Problem]:
    place = context.place(path, key=True)
    if name in context.provider.feeds:
        yield Problem(place, "handshake_name", f"{name} is a feed, too", "give the handshake another name")
    elif not _NAME.match(name):
        message = f"{str(name)!r} cannot name a handshake"
        yield Problem(place, "handshake_name", message, "use letters, digits, - and _")


def _takes_all(context: Context, one: Handshake, path: Path) -> Iterator[Problem]:
    if context.touched((*path, "when")) or not _says_nothing(one.when):
        return
    feeds = ((feed.path or name, feed.method) for name, feed in context.provider.feeds.items())
    if any(method == one.method and one.path in (None, tail) for tail, method in feeds):
        message = "when looks at nothing of the request, so that deliveries would be answered as this handshake"
        hint = "write what only the handshake has, such as $exists(challenge)"
        yield Problem(context.place((*path, "when")), "handshake_takes_all", message, hint)


def _says_nothing(when: Expression) -> bool:
    if len(when.text) > LONGEST:
        return False
    try:
        found = reads(when.text)
    except JsonataError:
        return False
    return not found.input and "request" not in found.bindings


def _hosts(context: Context, shown: ShownUrl, path: Path) -> Iterator[Problem]:
    for n, host in enumerate(shown.hosts):
        labels = host.split(".")
        if not _HOST.match(host) or "*" in labels[-2:]:
            message = f"{str(host)!r} names no host"
            hint = "write it in lower case, such as sns.*.example.com; the last two labels are never *"
            yield Problem(context.place((*path, n)), "host_pattern", message, hint)
