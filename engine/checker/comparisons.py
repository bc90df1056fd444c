"""Comparisons and arithmetic that forget that every number of a payload is text."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context, Site
from engine.checker.tokens import Token, tokens
from engine.problems import Problem

_EQUAL = frozenset({"=", "!="})
_ORDER = frozenset({"<", ">", "<=", ">="})
_ARITHMETIC = frozenset({"+", "*", "/", "-"})


def comparisons(context: Context) -> Iterator[Problem]:
    """`number_comparison`: a path against a bare number; `vanishing_comparison`: `!=` on a path."""
    for site in context.sites:
        if not site.reply:
            yield from _of(site)


def _of(site: Site) -> Iterator[Problem]:
    found = tokens(site.expression.text)
    for n, token in enumerate(found):
        if token.kind != "operator" or n == 0 or n + 1 >= len(found):
            continue
        left, right = _path_before(found, n), _path_after(found, n)
        number_left, number_right = _number_before(found, n), _number_after(found, n)
        place = site.expression.scalar.place((left or right or token).start if left or right else token.start)
        if token.text in _EQUAL | _ORDER | _ARITHMETIC and (left and number_right or right and number_left):
            path = _source(site, left, n, found) if left else _source_after(site, right, n, found)
            number = (number_right or number_left or token).text
            yield Problem(place, "number_comparison", *_advice(token.text, path, number))
        elif token.text == "!=" and left and right is None and found[n + 1].kind == "text":
            path = _source(site, left, n, found)
            yield Problem(
                place,
                "vanishing_comparison",
                f"`{path} != …` is false where {path} is absent, so such elements vanish",
                f"write $not({path} = {found[n + 1].text})",
                "warning",
            )


def _advice(operator: str, path: str, number: str) -> tuple[str, str]:
    message = f"{path} is text, as every number of a payload is: `{operator} {number}` never holds as meant"
    if operator in _EQUAL:
        return message, f'write {path} {operator} "{number}", or $number({path}) {operator} {number}'
    return message, f"write $number({path}) {operator} {number}"


def _path_before(found: list[Token], n: int) -> Token | None:
    """The first token of the path that ends before an operator; None when no plain path does."""
    at = n - 1
    if found[at].kind != "name":
        return None
    while at >= 2 and found[at - 1].text == "." and found[at - 2].kind in ("name", "variable"):
        at -= 2
    return None if at and found[at - 1].text in (".", "]", ")") else found[at]


def _path_after(found: list[Token], n: int) -> Token | None:
    """The first token of the path that begins behind an operator; None when a call or nothing does."""
    at = n + 1
    if found[at].kind == "variable" and at + 2 < len(found) and found[at + 1].text == ".":
        return found[at] if found[at + 2].kind == "name" else None
    return found[at] if found[at].kind == "name" else None


def _number_after(found: list[Token], n: int) -> Token | None:
    return found[n + 1] if found[n + 1].kind == "number" else None


def _number_before(found: list[Token], n: int) -> Token | None:
    if found[n - 1].kind != "number" or (n >= 2 and found[n - 2].text in ("..", ".")):
        return None
    return found[n - 1]


def _source(site: Site, first: Token, n: int, found: list[Token]) -> str:
    return site.expression.text[first.start : found[n - 1].end]


def _source_after(site: Site, first: Token | None, n: int, found: list[Token]) -> str:
    assert first is not None
    at = n + 1
    while at + 2 < len(found) and found[at + 1].text == "." and found[at + 2].kind == "name":
        at += 2
    return site.expression.text[first.start : found[at].end]
