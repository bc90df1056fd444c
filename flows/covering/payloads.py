"""Fields of payloads that nothing reads, and fields of commands that nothing sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.checker.samples import programs_of
from engine.interpreter import Interpreter
from engine.jsonata import JsonataError, reads
from engine.locations import locations
from engine.model import Feed
from engine.payload_paths import steps
from engine.unread import all_ignored

_MOST = 2000

Steps = tuple[str, ...]


def unread(interpreter: Interpreter, feed: str, documents: Iterable[Any]) -> tuple[list[str], int]:
    """Dotted paths of scalars that nothing reads and no `ignore` names, and how many paths there are."""
    spec = interpreter.provider.feeds[feed]
    trees = list(_trees(interpreter, feed, spec))
    found: dict[Steps, None] = {}
    for document in documents:
        for path in _scalars(document):
            if len(found) < _MOST:
                found.setdefault(path)
    ignored = [entry.path for entry in spec.ignore]
    left = [path for path in found if not any(_reads(tree, path) for tree in trees) and not _ignored(path, ignored)]
    return sorted(".".join(path) for path in left), len(found)


def _trees(interpreter: Interpreter, name: str, feed: Feed) -> Iterator[Any]:
    texts = [source.text for source in programs_of(feed)]
    connection = feed.connection or interpreter.provider.connection
    for text in (*texts, *((connection.text,) if connection else ())):
        try:
            yield reads(text).input
        except (JsonataError, RecursionError):
            continue
    for path in locations(interpreter.auth_of(name)).body:
        yield _tree(steps(path))


def _tree(path: Steps) -> Any:
    return {path[0]: _tree(path[1:])} if path else True


def _reads(tree: Any, path: Steps) -> bool:
    for name in path:
        if tree is True:
            return True
        if not isinstance(tree, dict):
            return False
        if name not in tree:
            return False
        tree = tree[name]
    return tree is not None and tree is not False


def _ignored(path: Steps, ignored: list[str]) -> bool:
    value: Any = ""
    for name in reversed(path):
        value = {name: value}
    return all_ignored(value, ignored)


def _scalars(value: Any, at: Steps = ()) -> Iterator[Steps]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _scalars(inner, (*at, name))
    elif isinstance(value, list):
        for inner in value:
            yield from _scalars(inner, at)
    elif at:
        yield at


def unset(interpreter: Interpreter, feed: str) -> dict[str, list[str]]:
    """By rule, the fields of its command that neither the rule nor the scope gives."""
    found = {}
    for plan in interpreter.plans_of(feed):
        if plan.schema is None:
            continue
        given = {*plan.rule.fields, "merchant_id"}
        scope = interpreter.provider.feeds[feed].scope
        if scope.store is not None:
            given.add("store_id")
        if plan.version is not None:
            given |= {"source_version", "source_time"}
        found[f"{plan.name} ({plan.schema.name})"] = [name for name in plan.schema.fields if name not in given]
    return found
