"""Dotted payload paths written like expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from engine.checker.sites import Context
from engine.model import Idempotency
from engine.problems import Problem
from engine.yaml12 import Path

_PATH = re.compile(r"[^.\[\]$()\s]+(?:\[(?:\d+|\*)\]|\.[^.\[\]$()\s]+)*\Z")


def paths(context: Context) -> Iterator[Problem]:
    """`payload_path`: unwrap, ignore, sensitive and except take dotted paths such as items.price."""
    yield from _each(context, ("sensitive",), context.provider.sensitive)
    for name, feed in context.provider.feeds.items():
        base = ("feeds", name)
        yield from _each(context, (*base, "unwrap"), feed.unwrap)
        for n, ignored in enumerate(feed.ignore):
            yield from _one(context, (*base, "ignore", n, "path"), ignored.path)
        yield from _recipe(context, (*base, "idempotency"), feed.idempotency)
        for key, event in (feed.events or {}).items():
            yield from _recipe(context, (*base, "events", key, "idempotency"), event.idempotency)


def _recipe(context: Context, path: Path, recipe: object) -> Iterator[Problem]:
    if isinstance(recipe, Idempotency) and recipe.payload_hash and recipe.payload_hash.except_:
        yield from _each(context, (*path, "payload_hash", "except"), recipe.payload_hash.except_)


def _each(context: Context, path: Path, written: Sequence[str]) -> Iterator[Problem]:
    for n, one in enumerate(written):
        yield from _one(context, (*path, n), one)


def _one(context: Context, path: Path, written: str) -> Iterator[Problem]:
    if not _PATH.match(written) and not context.touched(path):
        message = f"{str(written)!r} is not a dotted payload path"
        yield Problem(
            context.place(path), "payload_path", message, "write names with dots between, such as items.price"
        )
