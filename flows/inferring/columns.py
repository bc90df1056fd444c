"""The objects that a payload holds, and the scalar fields of each kind of them with all their values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")
_RESERVED = frozenset({"and", "or", "in", "true", "false", "null", "function"})
_DEEPEST = 5
_MOST_KINDS = 200
_MOST_FIELDS = 400

Steps = tuple[str, ...]


@dataclass
class Column:
    """One field of a kind of object. `values` are those that are there, null apart; `lists`: it holds lists of them."""

    steps: Steps
    values: list[Any] = field(default_factory=list)
    lists: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.steps)

    @property
    def texts(self) -> list[str]:
        return [value for value in self.values if isinstance(value, str)]


@dataclass
class Kind:
    """Objects that stand at one path. `many`: in a list; the path () without `many` is the document itself."""

    steps: Steps
    many: bool
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def each(self) -> str | None:
        """The expression of the elements; None for the document itself."""
        return expression(self.steps) if self.steps else "$" if self.many else None

    @property
    def name(self) -> str:
        return self.steps[-1] if self.steps else ""

    def columns(self) -> list[Column]:
        found: dict[Steps, Column] = {}
        for row in self.rows:
            for steps, value in _scalars(row):
                if steps not in found and len(found) >= _MOST_FIELDS:
                    continue
                column = found.setdefault(steps, Column(steps))
                if isinstance(value, list):
                    column.lists = True
                    column.values += value
                else:
                    column.values.append(value)
        return list(found.values())


def expression(steps: Steps) -> str:
    """The JSONata path of names."""
    return ".".join(step if _PLAIN.match(step) and step not in _RESERVED else f"`{step}`" for step in steps)


def writable(name: str) -> bool:
    """Whether a name can stand in an expression and in a comment."""
    return bool(name) and "`" not in name and name.isprintable()


def kinds(documents: Iterable[Any]) -> list[Kind]:
    """Every kind of object of the documents, outermost first."""
    found: dict[tuple[Steps, bool], Kind] = {}
    for document in documents:
        for steps, many, row in _objects(document, (), False):
            if (steps, many) in found or len(found) < _MOST_KINDS:
                found.setdefault((steps, many), Kind(steps, many)).rows.append(row)
    return _merged(found)


def _merged(found: dict[tuple[Steps, bool], Kind]) -> list[Kind]:
    """A path that holds a list in one sample and a lone object in another is one kind: `each` reads both."""
    for (steps, many), kind in list(found.items()):
        if not many and (steps, True) in found:
            found[steps, True].rows += kind.rows
            del found[steps, many]
    return sorted(found.values(), key=lambda kind: len(kind.steps))


def _objects(value: Any, steps: Steps, many: bool) -> Iterator[tuple[Steps, bool, dict[str, Any]]]:
    if isinstance(value, list):
        for element in value:
            if isinstance(element, dict):
                yield from _objects(element, steps, True)
    elif isinstance(value, dict):
        yield steps, many, value
        if len(steps) < _DEEPEST:
            for name, inner in value.items():
                if writable(name):
                    yield from _objects(inner, (*steps, name), many)


def _scalars(row: dict[str, Any], at: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    for name, value in row.items():
        if not writable(name) or value is None:
            continue
        if isinstance(value, dict):
            if len(at) < 3:
                yield from _scalars(value, (*at, name))
        elif not isinstance(value, list) or (value and all(isinstance(one, str) for one in value)):
            yield (*at, name), value
