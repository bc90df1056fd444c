"""The payload's elements that the rules of a feed run over, by rule and position."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from engine.drafting import payload_path
from engine.interpreter import Branch
from engine.jsonata import JsonataError, Program, reads
from engine.plans import RulePlan
from engine.reading import Reading

Position = tuple[int, ...]

MISSING = object()


class Elements:
    """Elements found anew by the rules' `each`, with what expressions read of them."""

    def __init__(self, branch: Branch, reading: Reading) -> None:
        self._reading = reading
        self._lists: dict[str, list[Any]] = {}
        if branch.elements_program is not None:
            try:
                found = branch.elements_program.evaluate(reading.document, reading.bindings) or ()
            except JsonataError:
                found = ()
            for (each, _), elements in zip(branch.elements, found, strict=False):
                listed = elements if isinstance(elements, list) else [elements]
                self._lists[each] = [one.get("e") if isinstance(one, dict) else None for one in listed]

    def count(self, plan: RulePlan) -> int:
        """How many elements an outermost rule has."""
        return len(self._lists.get(plan.eaches[0], ())) if plan.eaches[0] else 1

    def at(self, plan: RulePlan, position: Position) -> Any:
        """The element; MISSING where it cannot be found again."""
        value: Any = self._reading.document
        for level, (each, n) in enumerate(zip(plan.eaches, position, strict=False)):
            if not each:
                continue
            elements = self._lists.get(each, []) if level == 0 else _evaluated(f'[({each}).{{"e":$}}]', value)
            if not isinstance(elements, list) or n >= len(elements):
                return MISSING
            value = elements[n] if level == 0 else elements[n].get("e")
        return value

    def reads(self, plan: RulePlan, position: Position, expression: str) -> list[dict[str, Any]]:
        """Payload path and value of everything that an expression reads of its element or of the document."""
        element = self.at(plan, position)
        found = []
        for steps in read_paths(expression):
            value = _walk(element, steps) if element is not MISSING else MISSING
            path = payload_path(plan, position, ".".join(steps))
            found.append(_read(path, value))
        document = self._reading.document
        return found + [_read(".".join(steps), _walk(document, steps)) for steps in document_paths(expression)]


def _read(path: str, value: Any) -> dict[str, Any]:
    return {"path": path, "there": value is not MISSING, "value": None if value is MISSING else value}


def _evaluated(text: str, document: Any) -> Any:
    try:
        return Program(text).evaluate(document, None)
    except JsonataError:
        return None


def _walk(value: Any, steps: tuple[str, ...]) -> Any:
    """The value at names, through lists as JSONata goes; MISSING where there is none."""
    for n, step in enumerate(steps):
        if isinstance(value, list):
            found = [one for inner in value if (one := _walk(inner, steps[n:])) is not MISSING]
            return found or MISSING
        if not isinstance(value, dict) or step not in value:
            return MISSING
        value = value[step]
    return value


def read_paths(expression: str) -> list[tuple[str, ...]]:
    """The paths that an expression reads of its own input."""
    if "$$" in expression and not _own_input(expression):
        return []
    try:
        tree = reads(expression.replace("$$", "$_document")).input
    except (JsonataError, RecursionError):
        return []
    return list(_leaves(tree))


def _own_input(expression: str) -> bool:
    return not expression.startswith("$$.") or " " in expression or "(" in expression


def document_paths(expression: str) -> list[tuple[str, ...]]:
    """The paths that an expression reads of the whole document, by `$$`."""
    if not expression.startswith("$$."):
        return []
    try:
        return list(_leaves(reads(expression[3:]).input))
    except (JsonataError, RecursionError):
        return []


def _leaves(tree: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(tree, dict) and tree:
        for key, inner in tree.items():
            yield from _leaves(inner, (*at, key))
    elif at:
        yield at


def shown(value: Any, most: int = 120) -> str:
    """A value on one line, cut to a bearable length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else f"{text[:most]}…"
