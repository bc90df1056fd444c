"""Payload fields that no sample has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from engine.checker.sites import Context
from engine.checker.tokens import tokens
from engine.compiler import compile_rules
from engine.jsonata import JsonataError, reads
from engine.problems import Problem


def samples(context: Context) -> Iterator[Problem]:
    """`field_in_no_sample`, as a warning: likely misspelt. Nothing is said where no samples are given."""
    for name, payloads in context.samples.items():
        feed = context.provider.feeds.get(name)
        if feed is None or not payloads:
            continue
        try:
            read = reads(compile_rules(feed.let, feed.commands).text).input
        except (JsonataError, RecursionError):
            continue
        for path in _leaves(read):
            near = _missing(path, payloads)
            if near is not None:
                yield _problem(context, name, path, near)


def _leaves(read: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(read, dict) and read:
        for key, inner in read.items():
            yield from _leaves(inner, (*at, key))
    elif at:
        yield at


def _missing(path: tuple[str, ...], payloads: Iterable[Any]) -> list[str] | None:
    """The keys beside the missing one, in all samples; None where a sample has it or has no such parent."""
    siblings: set[str] = set()
    for payload in payloads:
        level = [payload]
        for n, key in enumerate(path):
            objects = [o for v in level for o in (v if isinstance(v, list) else [v]) if isinstance(o, dict)]
            if not objects:
                return None
            level = [o[key] for o in objects if key in o]
            if not level:
                if n < len(path) - 1:
                    return None
                siblings |= {k for o in objects for k in o}
                break
        else:
            return None
    return sorted(siblings)


def _problem(context: Context, feed: str, path: tuple[str, ...], siblings: list[str]) -> Problem:
    near = difflib.get_close_matches(path[-1], siblings, 1)
    hint = f"did you mean {near[0]}?" if near else "add a sample that has it, or correct it"
    place = context.document.place_of(("feeds", feed), key=True)
    for site in context.sites:
        at = next((t.start for t in tokens(site.expression.text) if t.text.strip("`") == path[-1]), None)
        if site.feed == feed and at is not None:
            place = site.place(at)
            break
    return Problem(place, "field_in_no_sample", f"no sample has {'.'.join(path)}", hint, "warning")
