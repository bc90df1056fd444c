"""Machine-made variants of a document: what a sender's next release, or its fault, could make of it.

Each array is cut to one and to none; each field is missing, null and of the other scalar type. Elements of a
list share their path, so there is one variant of a kind for each distinct path; the first element that has it
is changed, and the rest of the batch stays sound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LIMIT = 200
"""Variants of one case."""

_Step = str | int
_MISSING = object()


@dataclass(frozen=True)
class Variant:
    """A changed document. `path` has `[]` for every element of a list; `kind` is what was done there: cut to one,
    cut to none, missing, null, other type."""

    path: str
    kind: str
    document: Any

    def __str__(self) -> str:
        return f"{self.path or '$'}: {self.kind}"


def variants(document: Any, limit: int = LIMIT) -> list[Variant]:
    """The variants of a document of dict, list and scalars, in its order; a fair sample, always the same one, where
    there are more than `limit`."""
    return sampled(list(_made(document)), limit)


def sampled(made: list[Variant], limit: int) -> list[Variant]:
    """At most `limit` of them, in order; which ones depends on their names alone."""
    if len(made) <= limit:
        return made
    kept = {id(one) for one in sorted(made, key=_lot)[:limit]}
    return [one for one in made if id(one) in kept]


def _lot(variant: Variant) -> bytes:
    return hashlib.sha256(str(variant).encode("utf-8", "replace")).digest()


def shuffled(document: Any) -> Any:
    """The document with each batch the other way round: each list of several objects that no list holds."""
    if isinstance(document, dict):
        return {name: shuffled(value) for name, value in document.items()}
    if isinstance(document, list) and len(document) > 1 and all(isinstance(one, dict) for one in document):
        return document[::-1]
    return document


def _made(document: Any) -> Iterator[Variant]:
    """Those of each path, where it is first met."""
    met: set[str] = set()
    for path, place, value in _places(document):
        if path not in met:
            met.add(path)
            for kind, changed in _changes(value, place):
                yield Variant(path, kind, _put(document, place, changed))


def _places(value: Any, path: str = "", place: tuple[_Step, ...] = ()) -> Iterator[tuple[str, tuple[_Step, ...], Any]]:
    yield path, place, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(inner, f"{path}.{name}" if path else name, (*place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, f"{path}[]", (*place, index))


def _changes(value: Any, place: tuple[_Step, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and value:
        if len(value) > 1:
            yield "cut to one", value[:1]
        yield "cut to none", []
    if place and isinstance(place[-1], str):
        yield "missing", _MISSING
    if place and value is not None:
        yield "null", None
    if not isinstance(value, dict | list):
        yield "other type", other_type(value)


def other_type(value: Any) -> Any:
    """A number for a text, a text for anything else; a text that holds a number keeps its digits."""
    if not isinstance(value, str):
        return "null" if value is None else str(value).lower()
    if value.isascii() and value.isdigit() and len(value) < 20 and str(int(value)) == value:
        return int(value)
    return 7


def _put(node: Any, place: tuple[_Step, ...], changed: Any) -> Any:
    """A copy of the way to the place, and the rest shared."""
    if not place:
        return changed
    step, inner = place[0], place[1:]
    if isinstance(step, int):
        return [_put(one, inner, changed) if index == step else one for index, one in enumerate(node)]
    if not inner and changed is _MISSING:
        return {name: one for name, one in node.items() if name != step}
    return {name: _put(one, inner, changed) if name == step else one for name, one in node.items()}
