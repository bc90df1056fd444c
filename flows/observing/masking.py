"""What of a payload is not shown: the fields that the provider file calls sensitive, and secrets in the body."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from engine.locations import locations
from engine.model import Provider
from engine.payload_paths import steps

MASK = "[masked]"
_LEAST = 4
"""A masked value of so many characters is masked wherever it stands in another text."""

Steps = tuple[str, ...]


def hidden_paths(provider: Provider) -> tuple[Steps, ...]:
    """`sensitive`, and where authentication finds secrets in the body."""
    own = (feed.auth for feed in provider.feeds.values() if feed.auth is not None)
    found = locations(provider.auth, *own)
    return tuple(steps(path) for path in (*provider.sensitive, *sorted(found.form), *sorted(found.body)))


def masked(document: Any, paths: Iterable[Steps]) -> tuple[Any, frozenset[str]]:
    """The document with a mask for each value under one of the paths, and the texts that are masked.

    Lists are passed through; an index or `*` stands for every element.
    """
    found: set[str] = set()
    return _masked(document, list(paths), found), frozenset(found)


def _masked(value: Any, paths: list[Steps], found: set[str]) -> Any:
    if any(not path for path in paths):
        found.update(_texts(value))
        return MASK
    if not paths:
        return value
    if isinstance(value, dict):
        return {name: _masked(inner, below(paths, name), found) for name, inner in value.items()}
    if isinstance(value, list):
        inner = [path[1:] if path[0] == "*" or path[0].isdigit() else path for path in paths]
        return [_masked(one, inner, found) for one in value]
    return value


def below(paths: Iterable[Steps], name: str) -> list[Steps]:
    """What of the paths goes on below a name."""
    return [path[1:] for path in paths if path[0] in (name, "*")]


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str) and value:
        yield value


def without(value: Any, hidden: Collection[str]) -> Any:
    """A value of what came out, with a mask where it tells one of the masked texts."""
    if isinstance(value, dict):
        return {name: without(inner, hidden) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without(inner, hidden) for inner in value]
    if isinstance(value, str) and (value in hidden or any(len(one) >= _LEAST and one in value for one in hidden)):
        return MASK
    return value
