"""Rules and values that are plain paths (`sku`, `outlet.id`), read without the JSONata engine.

Carrying a document into the engine and its answer back costs more than such a reading. It covers only what
cannot be meant otherwise: a path that meets a list, an `each` that is no list of objects, a value that is no
scalar are the engine's to decide, and then the answer here is None.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from operator import itemgetter
from typing import Any, Protocol, cast

from engine.compiler import CURRENCY, UNIT, VERSION, version_expression
from engine.counts import TooManyElements
from engine.model import Constant, Expression, FieldSpec, Mapped, Rule

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_WORDS = frozenset({"true", "false", "null", "and", "or", "in", "function"})
_SCALARS = frozenset({str, bool, type(None)})
_MISSING, _LIST = object(), object()

Steps = tuple[str, ...]
Rows = dict[str, list[dict[str, Any]]]


class DirectRules(Protocol):
    """Gives each rule's objects; None where the engine must decide. Raises TooManyElements beyond `most`."""

    def __call__(self, document: Any, most: int = ..., /) -> Rows | None: ...


def steps_of(expression: Expression) -> Steps | None:
    """The names of a plain path; None for any other expression."""
    text = expression.text.strip()
    steps = tuple(text.split("."))
    return steps if _PATH.fullmatch(text) and not _WORDS.intersection(steps) else None


def direct_values(values: Mapping[str, Expression]) -> Callable[[Any], dict[str, Any] | None] | None:
    """A function from a document to the values that are defined; None where some value is no plain path."""
    paths = _paths(values.items())
    return None if paths is None else _reading(paths)


def direct_rules(rules: Mapping[str, Rule]) -> DirectRules | None:
    """A function from a document to each rule's objects; None where a rule needs the engine."""
    plans = {name: plan for name, rule in rules.items() if (plan := _plan(rule)) is not None}
    if len(plans) < len(rules):
        return None
    ready = [(name, each, _reading(paths)) for name, (each, paths) in plans.items()]

    def run(document: Any, most: int = sys.maxsize) -> Rows | None:
        rows: Rows = {}
        for name, each, read in ready:
            elements = (document,) if each is None else _elements(document, each)
            if elements is None:
                return None
            if len(elements) > most:
                raise TooManyElements(name, len(elements))
            objects = [read(element) for element in elements]
            if None in objects:
                return None
            rows[name] = cast("list[dict[str, Any]]", objects)
        return rows

    return run


Paths = tuple[tuple[str, str, Steps], ...]
"""(key of the object, first name, further names)"""


def _plan(rule: Rule) -> tuple[Steps | None, Paths] | None:
    if rule.let or rule.when or rule.check or rule.commands:
        return None
    each = steps_of(rule.each) if rule.each else None
    if rule.each and each is None:
        return None
    entries: list[tuple[str, Expression]] = []
    for name, field in rule.fields.items():
        own = _entries(name, field)
        if own is None:
            return None
        entries += own
    if version := version_expression(rule):
        entries.append((VERSION, version))
    paths = _paths(entries)
    return None if paths is None else (each, paths)


def _entries(name: str, field: FieldSpec) -> list[tuple[str, Expression]] | None:
    if isinstance(field, Expression):
        return [(name, field)]
    if isinstance(field, Mapped):
        beside = ((CURRENCY, field.currency), (UNIT, field.unit))
        return [(name, field.from_), *((mark + name, e) for mark, e in beside if e)]
    return [] if isinstance(field, Constant) else None


def _paths(entries: Iterable[tuple[str, Expression]]) -> Paths | None:
    found = []
    for key, expression in entries:
        steps = steps_of(expression)
        if steps is None:
            return None
        found.append((key, steps[0], steps[1:]))
    return tuple(found)


def _reading(paths: Paths) -> Callable[[Any], dict[str, Any] | None]:
    """`_object` for these paths; at once for an object that has them all, if none leads further."""
    step_by_step = partial(_object, paths)
    if len(paths) < 2 or any(further for _, _, further in paths):
        return step_by_step
    keys = [key for key, _, _ in paths]
    values_of = itemgetter(*[name for _, name, _ in paths])

    def read(element: Any) -> dict[str, Any] | None:
        if element.__class__ is not dict:
            return None
        try:
            found = values_of(element)
        except KeyError:
            return step_by_step(element)
        return dict(zip(keys, found, strict=True)) if _SCALARS.issuperset(map(type, found)) else None

    return read


def _object(paths: Paths, element: Any) -> dict[str, Any] | None:
    if element.__class__ is not dict:
        return None
    values = {}
    for key, name, further in paths:
        if name in element:
            value = element[name]
            if further:
                value = _follow(value, further)
                if value is _MISSING:
                    continue
            if value.__class__ not in _SCALARS:
                return None
            values[key] = value
    return values


def _elements(document: Any, each: Steps) -> list[Any] | tuple[Any, ...] | None:
    found = _follow(document, each)
    if found is _MISSING:
        return ()
    if found.__class__ is dict:
        return (found,)
    return found if found.__class__ is list else None


def _follow(value: Any, steps: Steps) -> Any:
    """What a path leads to: `_MISSING` where nothing, `_LIST` where a list is on the way."""
    for step in steps:
        if value.__class__ is not dict:
            return _LIST if value.__class__ is list else _MISSING
        value = value.get(step, _MISSING)
    return value
