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
        if expression[at] == "/" and not _ends_a_value(before) and (regex := _REGEX.match(expression, at)):
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


def _ends_a_value(token: Token | None) -> bool:
    if token is None:
        return False
    if token.kind == "operator":
        return token.text in (")", "]", "}", "%")
    return True
