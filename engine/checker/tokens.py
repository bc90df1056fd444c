"""The tokens of a JSONata expression, as far as the checker looks at them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "name", "variable", "regex", "operator"]


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the source; `start` its offset in characters."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


_TOKEN = re.compile(
    r"""
      (?P<comment>/\*.*?\*/)
    | (?P<space>\s+)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<quoted>`[^`]*`)
    | (?P<variable>\$\$|\$[A-Za-z_][A-Za-z_0-9]*|\$)
    | (?P<number>(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)
    | (?P<name>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)
    | (?P<operator>\.\.|:=|!=|>=|<=|\*\*|~>|\?\?|\?:|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?:[^/\\\n]|\\.)+/[im]*")


def tokens(expression: str) -> list[Token]:
    """The tokens without comments and white space. Never raises: a stray character is an operator."""
    return list(_tokens(expression))


def _tokens(expression: str) -> Iterator[Token]:
    at = 0
    before: Token | None = None
    while at < len(expression):
        if expression[at] == "/" and not ends_a_value(before) and (regex := _REGEX.match(expression, at)):
            before = Token("regex", regex[0], at)
            at = regex.end()
            yield before
            continue
        found = _TOKEN.match(expression, at)
        assert found is not None
        at = found.end()
        kind = found.lastgroup
        if kind in ("comment", "space"):
            continue
        made: Kind = "name" if kind == "quoted" else kind  # type: ignore[assignment]
        before = Token(made, found[0], found.start())
        yield before


def ends_a_value(token: Token | None) -> bool:
    """Whether an operator may follow: then `/` divides and `%` is no parent."""
    if token is None:
        return False
    if token.kind == "operator":
        return token.text in (")", "]", "}", "%")
    return not (token.kind == "name" and token.text in _WORDS)


_WORDS = frozenset({"and", "or", "in"})


def called(found: list[Token], n: int) -> bool:
    """Whether the n-th token is called: `$f(`."""
    return n + 1 < len(found) and found[n + 1].text == "("


def bound(found: list[Token]) -> frozenset[str]:
    """Names that an expression binds itself: by `:=`, as a function's parameters, by `@` and `#`."""
    names = set()
    for n, token in enumerate(found):
        if token.kind != "variable" or not token.text[1:]:
            continue
        after = found[n + 1].text if n + 1 < len(found) else ""
        before = found[n - 1].text if n else ""
        if after == ":=" or before in ("@", "#") or _in_parameters(found, n):
            names.add(token.text[1:])
    return frozenset(names)


def _in_parameters(found: list[Token], n: int) -> bool:
    """Whether a variable stands in the brackets behind `function` or `λ`."""
    at = n - 1
    while at >= 0 and (found[at].kind == "variable" or found[at].text == ","):
        at -= 1
    return at >= 1 and found[at].text == "(" and found[at - 1].text in ("function", "λ")


_OPENED_BY = {")": "(", "]": "[", "}": "{"}


def opening(found: list[Token], n: int) -> int:
    """The index of the bracket that the n-th token closes; -1 where there is none."""
    depth = 0
    for at in range(n, -1, -1):
        if found[at].kind == "operator":
            depth += (found[at].text in _OPENED_BY) - (found[at].text in _OPENED_BY.values())
        if depth == 0:
            return at
    return -1
