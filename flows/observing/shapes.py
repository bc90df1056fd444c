"""What payloads of a feed look like: paths, the types at each, and the values that golden cases show there.

Types are those that matter to a provider file: every number of a payload is text to it, so `5` and `"5"` are both a
`number`. A path goes through lists as `[]` and through objects whose keys are ids as `*`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

MOST_VALUES: Final = 50
"""So many different values are kept of a path."""
MOST_ELEMENTS: Final = 200
"""So many elements of a list are looked at, evenly spread."""
DEEPEST: Final = 40
_LONGEST: Final = 200

_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?\Z")
_ID = re.compile(r"\d+\Z|[0-9a-fA-F-]{16,}\Z|.*\d.*\d.*\d.*\d|.+@|.*\s|.{41}", re.DOTALL)


def type_of(value: Any) -> str:
    """null, boolean, object, list, empty (text), number (also in text) or text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "list"
    if not value:
        return "empty"
    return "number" if _NUMBER.match(value) else "text"


def looks_like_id(key: str) -> bool:
    """Whether a key names one thing among many rather than a field: digits, hexadecimals, spaces, great length."""
    return _ID.match(key) is not None


class Shape:
    """What was seen at one path. `star` stands for the values of an object whose keys are ids."""

    __slots__ = ("count", "element", "fields", "star", "types", "values")

    def __init__(self) -> None:
        self.count = 0
        self.types: set[str] = set()
        self.values: Counter[str] = Counter()
        self.fields: dict[str, Shape] = {}
        self.element: Shape | None = None
        self.star: Shape | None = None

    def learn(self, value: Any, depth: int = 0) -> None:
        """Takes in one value and everything below it."""
        self.count += 1
        self.types.add(type_of(value))
        if depth > DEEPEST:
            return
        if isinstance(value, dict):
            self._learn_fields(value, depth)
        elif isinstance(value, list):
            for _, one in some(value):
                self.element = self.element or Shape()
                self.element.learn(one, depth + 1)
        elif isinstance(value, str):
            self._learn_text(value)

    def _learn_text(self, value: str) -> None:
        if len(value) <= _LONGEST and (value in self.values or len(self.values) < MOST_VALUES):
            self.values[value] += 1

    def _learn_fields(self, value: dict[str, Any], depth: int) -> None:
        for key, inner in value.items():
            if looks_like_id(key):
                self.star = self.star or Shape()
                self.star.learn(inner, depth + 1)
            else:
                self.fields.setdefault(key, Shape()).learn(inner, depth + 1)

    def below(self, key: str) -> Shape | None:
        """What is known of a field; None where it is new."""
        return self.fields.get(key) or (self.star if looks_like_id(key) or not self.fields else None)

    def to_json(self) -> dict[str, Any]:
        """Types and names alone: no values."""
        return {
            "types": sorted(self.types),
            "fields": {name: inner.to_json() for name, inner in self.fields.items()},
            "element": self.element.to_json() if self.element else None,
            "star": self.star.to_json() if self.star else None,
        }


def shape_of(documents: Iterable[Any]) -> Shape:
    """What these documents show."""
    made = Shape()
    for document in documents:
        made.learn(document)
    return made


def from_json(told: dict[str, Any]) -> Shape:
    """What `to_json` told."""
    made = Shape()
    made.types = set(told["types"])
    made.fields = {name: from_json(inner) for name, inner in told["fields"].items()}
    made.element = from_json(told["element"]) if told["element"] else None
    made.star = from_json(told["star"]) if told["star"] else None
    return made


def some(values: list[Any]) -> Iterable[tuple[int, Any]]:
    """Elements with their indices, MOST_ELEMENTS at the most."""
    step = -(-len(values) // MOST_ELEMENTS) or 1
    return ((index, values[index]) for index in range(0, len(values), step))
