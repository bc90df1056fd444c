"""Comparisons and arithmetic that forget that every number of a payload is text."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.operands import ARITHMETIC, COMPARISONS, Operand, operations
from engine.checker.sites import Context, Site
from engine.checker.syntax import compiles
from engine.checker.tokens import tokens
from engine.problems import Problem

_EQUAL = frozenset({"=", "!="})
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def comparisons(context: Context) -> Iterator[Problem]:
    """`number_comparison`: a path against a bare number; `text_arithmetic`: sums of what is text."""
    for site in context.sites:
        if compiles(site) and site.role != "reply":
            yield from _compared(site)
            yield from _members(site)
            yield from _summed(site)


def _compared(site: Site) -> Iterator[Problem]:
    for operation in operations(site, COMPARISONS):
        left, right, operator = operation.left, operation.right, operation.operator.text
        if left.kind == "path" and right.kind == "number":
            yield _comparison(site, left, operator, right)
        elif left.kind == "number" and right.kind == "path":
            yield _comparison(site, right, _TURNED.get(operator, operator), left)


def _comparison(site: Site, path: Operand, operator: str, number: Operand) -> Problem:
    if operator in _EQUAL:
        hint = f'write {path.text} {operator} "{number.text}"'
    else:
        hint = f"write $number({path.text}) {operator} {number.text}"
    message = f"{path.text} is text, as every number of a payload is, and is compared with the number {number.text}"
    return Problem(site.place(path.start), "number_comparison", message, hint)


def _members(site: Site) -> Iterator[Problem]:
    """`status in [1, 2]`."""
    for operation in operations(site, frozenset({"in"})):
        inside = tokens(operation.right.text)
        listed = inside[:1] and inside[0].text == "[" and all(t.kind in ("number", "operator") for t in inside)
        numbers = [t.text for t in inside if t.kind == "number"]
        if operation.left.kind == "path" and listed and numbers:
            quoted = ", ".join(f'"{number}"' for number in numbers)
            path = operation.left.text
            message = f"{path} is text, as every number of a payload is, and is looked for among numbers"
            hint = f"write {path} in [{quoted}]"
            yield Problem(site.place(operation.left.start), "number_comparison", message, hint)


def _summed(site: Site) -> Iterator[Problem]:
    told: set[int] = set()
    for operation in operations(site, ARITHMETIC):
        for operand in (operation.left, operation.right):
            if operand.kind == "path" and operand.start not in told:
                told.add(operand.start)
                message = f"{operand.text} is text, as every number of a payload is, and cannot be reckoned with"
                hint = f"write $number({operand.text}); a name with - in it stands in backticks"
                yield Problem(site.place(operand.start), "text_arithmetic", message, hint)
