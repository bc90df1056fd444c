"""Which parts of a document a provider file declares as left unread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def all_ignored(document: Any, paths: Iterable[str]) -> bool:
    """Whether every value of a document lies under one of the dotted paths (`*` stands for any key).

    Lists are passed through: `items.*` covers every field of every element. An empty list or object is a
    value of its own, so an empty message is only covered by a path that names it.
    """
    return _covered(document, [path.split(".") for path in paths])


def _covered(value: Any, paths: list[list[str]]) -> bool:
    if any(not path for path in paths):
        return True
    if not paths:
        return False
    if isinstance(value, dict) and value:
        return all(_covered(inner, [p[1:] for p in paths if p[0] in (key, "*")]) for key, inner in value.items())
    if isinstance(value, list) and value:
        return all(_covered(inner, paths) for inner in value)
    return False
