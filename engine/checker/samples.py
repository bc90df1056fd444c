"""Payload fields that no sample has, and feeds without a sample."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from engine.checker.sites import Context, key_parts
from engine.checker.tokens import tokens
from engine.compiler import Lets, Source, compile_rules, compile_values
from engine.jsonata import JsonataError, reads
from engine.model import Event, Expression, Feed, Idempotency
from engine.places import Place
from engine.problems import Problem

Steps = tuple[str, ...]


def samples(context: Context) -> Iterator[Problem]:
    """`field_in_no_sample` and `feed_without_case`, as warnings. Nothing is said where there are no samples."""
    if context.samples is None:
        return
    sound, faulty = context.samples.sound, context.samples.faulty
    for name, feed in context.provider.feeds.items():
        if context.touched(("feeds", name)):
            continue
        if name not in sound and name not in faulty:
            hint = "add a folder with a request of the provider's to its golden cases"
            place = context.place(("feeds", name), key=True)
            yield Problem(place, "feed_without_case", f"no golden case shows what {name} makes", hint, "warning")
        if payloads := [*sound.get(name, ()), *faulty.get(name, ())]:
            yield from _unknown_fields(context, name, feed, payloads)


def _unknown_fields(context: Context, name: str, feed: Feed, payloads: list[Any]) -> Iterator[Problem]:
    told: set[Steps] = set()
    for source in programs_of(feed):
        try:
            read = reads(source.text).input
        except (JsonataError, RecursionError):
            continue
        for path in _leaves(read):
            found = _missing(path, payloads)
            if found is not None and found[0] not in told:
                told.add(found[0])
                yield _problem(context, name, source, *found)


def programs_of(feed: Feed) -> Iterator[Source]:
    """Everything of a feed that reads a payload, replies apart."""
    for event in (None, *(feed.events or {}).values()):
        lets = lets_of(feed, event)
        try:
            yield compile_rules(lets, event.commands if event else feed.commands)
            yield compile_values(lets, dict(_values(feed, event)))
        except (JsonataError, RecursionError):
            continue


def _values(feed: Feed, event: Event | None) -> Iterator[tuple[str, Expression]]:
    if feed.event:
        yield "event", feed.event
    scope = (event.scope if event else None) or feed.scope
    for name, expression in (("merchant", scope.merchant), ("store", scope.store)):
        if expression:
            yield name, expression
    recipe = (event.idempotency if event else None) or feed.idempotency
    if isinstance(recipe, Idempotency):
        yield from ((f"key{n}", part) for n, part in enumerate(key_parts(recipe)))


def _leaves(read: Any, at: Steps = ()) -> Iterator[Steps]:
    if isinstance(read, dict) and read:
        for key, inner in read.items():
            yield from _leaves(inner, (*at, key))
    elif at:
        yield at


def _missing(path: Steps, payloads: Iterable[Any]) -> tuple[Steps, list[str]] | None:
    """The part of the path up to a key that no sample has, and the keys beside it; None where one has it all.

    A key of the middle counts only when another is like it: what is within it may stand in no sample.
    """
    siblings: dict[int, set[str]] = {}
    for payload in payloads:
        level = [payload]
        for n, key in enumerate(path):
            objects = [o for v in level for o in (v if isinstance(v, list) else [v]) if isinstance(o, dict)]
            level = [o[key] for o in objects if key in o]
            if not level:
                siblings.setdefault(n, set()).update(k for o in objects for k in o)
                break
        else:
            return None
    deepest = max(siblings, default=-1)
    beside = sorted(siblings.get(deepest, ()))
    if not beside or (deepest < len(path) - 1 and not difflib.get_close_matches(path[deepest], beside, 1, 0.75)):
        return None
    return path[: deepest + 1], beside


def _problem(context: Context, feed: str, source: Source, path: Steps, siblings: list[str]) -> Problem:
    near = difflib.get_close_matches(path[-1], siblings, 1)
    hint = f"did you mean {near[0]}?" if near else "add a sample that has it, or correct it"
    place = _guilty(source, path) or context.place(("feeds", feed), key=True)
    return Problem(place, "field_in_no_sample", f"no sample has {'.'.join(path)}", hint, "warning")


def _guilty(source: Source, path: Steps) -> Place | None:
    """Where the path's last name stands: in the expression without which the program would not read the path."""
    naming = [
        (span, token.start)
        for span in source.spans
        for token in tokens(str(span.scalar))
        if token.kind == "name" and token.text.strip("`") == path[-1]
    ]
    for span, offset in naming if len(naming) > 1 else ():
        masked = f"{source.text[: span.start]}null{source.text[span.end :]}"
        try:
            if not _reads(reads(masked).input, path):
                return span.scalar.place(offset)
        except (JsonataError, RecursionError):
            continue
    return naming[0][0].scalar.place(naming[0][1]) if naming else None


def _reads(read: Any, path: Steps) -> bool:
    for key in path:
        if read is True:
            return True
        if not isinstance(read, dict) or key not in read:
            return False
        read = read[key]
    return True


def lets_of(feed: Feed, event: Event | None) -> Lets:
    """The names of a feed, and of one of its events, in order."""
    return {**feed.let, **(event.let if event else {})}
