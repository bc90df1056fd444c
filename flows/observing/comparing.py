"""A payload beside what is known of its feed: what is new in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flows.observing.enumerations import Named, is_code, is_new_value
from flows.observing.masking import Steps, below
from flows.observing.shapes import DEEPEST, Shape, looks_like_id, some, type_of

DriftKind = Literal["new_field", "new_type", "new_value"]
At = tuple[str | int, ...]
"""A place in one payload: names and indices."""
HIDDEN = "(not shown)"
FEW = 5
"""So many new fields of one object, or new values of one path, are told apart; then it is one that varies."""
VARIES = "*"


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that is new. `value` is the type, or the new value of an enumeration; `before` what was known."""

    kind: DriftKind
    path: str
    value: str
    before: str
    at: At

    @property
    def parent(self) -> str:
        return self.path.rpartition(".")[0]

    def says(self, feed: str) -> str:
        if self.value == VARIES:
            what = "many new values" if self.kind == "new_value" else "many new fields"
            return f"{feed}: {self.path} has {what}; no more of them are told"
        if self.kind == "new_field":
            return f"{feed}: {self.path} is new ({self.value})"
        if self.kind == "new_type":
            return f"{feed}: {self.path} was {self.before}, and is now {self.value} too"
        return f"{feed}: {self.path} has the new value {self.value}"


def drifts(
    shape: Shape, document: Any, named: Named, hidden: Sequence[Steps] = (), ignored: Sequence[Steps] = ()
) -> Iterator[Drift]:
    """What is new in a document, the topmost of what hangs together.

    `hidden` are paths whose values are not looked at, `ignored` paths that the provider file declares unread.
    """
    yield from _drifts(shape, document, "", (), named, list(hidden), list(ignored), "")


def _drifts(
    shape: Shape, value: Any, path: str, at: At, named: Named, hidden: list[Steps], ignored: list[Steps], name: str
) -> Iterator[Drift]:
    if any(not one for one in ignored) or len(at) > DEEPEST:
        return
    kind = type_of(value)
    if kind not in shape.types and not (kind == "number" and "text" in shape.types):
        yield Drift("new_type", path or "$", kind, " or ".join(sorted(shape.types)), at)
    elif isinstance(value, dict):
        for key, inner in value.items():
            known, told = shape.below(key), _joined(path, key)
            inside = below(hidden, key), below(ignored, key)
            if known is not None:
                told = told if key in shape.fields else _joined(path, "*")
                yield from _drifts(known, inner, told, (*at, key), named, *inside, key)
            elif not any(not one for one in inside[1]):
                told = _joined(path, "*") if looks_like_id(key) else told
                yield Drift("new_field", told, type_of(inner), "", (*at, key))
    elif isinstance(value, list):
        for index, inner in some(value):
            if shape.element is None:
                yield Drift("new_field", f"{path}[]", type_of(inner), "", (*at, index))
                return
            yield from _drifts(shape.element, inner, f"{path}[]", (*at, index), named, hidden, ignored, name)
    elif isinstance(value, str) and value and is_new_value(name, shape, value, named):
        shown = value if is_code(value) and not any(not one for one in hidden) else HIDDEN
        yield Drift("new_value", path, shown, "", at)


def _joined(path: str, name: str) -> str:
    """Names with other signs are quoted, so that a dot in one is none of the path."""
    shown = name if name == "*" or name.replace("_", "").replace("-", "").isalnum() else f"`{name[:60]}`"
    return f"{path}.{shown}" if path else shown


class Known:
    """What of a feed was noted before, and what of it varies so much that no more is noted."""

    def __init__(self, noted: set[tuple[str, str, str]]) -> None:
        self._noted = noted

    def noted(self, drift: Drift) -> tuple[Drift, bool]:
        """The drift as it is to be noted, and whether it is noted for the first time."""
        key = (drift.kind, drift.path, drift.value)
        if key in self._noted:
            return drift, False
        if drift.kind == "new_field":
            drift = self._field(drift)
        elif drift.kind == "new_value":
            drift = self._value(drift)
        key = (drift.kind, drift.path, drift.value)
        first = key not in self._noted
        self._noted.add(key)
        return drift, first

    def _field(self, drift: Drift) -> Drift:
        varying = _joined(drift.parent, VARIES)
        fields = {path for kind, path, _ in self._noted if kind == "new_field"}
        beside = {path for path in fields if path.rpartition(".")[0] == drift.parent}
        if varying in beside or len(beside) >= FEW:
            return Drift("new_field", varying, VARIES, "", drift.at)
        return drift

    def _value(self, drift: Drift) -> Drift:
        values = {value for kind, path, value in self._noted if kind == "new_value" and path == drift.path}
        if VARIES in values or len(values) >= FEW:
            return Drift("new_value", drift.path, VARIES, "", drift.at)
        return drift
