"""What stands beside an operator of an expression: a payload path, a bare number, or something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.checker.sites import Site
from engine.checker.tokens import Token, bound, ends_a_value, opening, tokens

COMPARISONS = frozenset({"=", "!=", "<", ">", "<=", ">="})
ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
_LOOSER = COMPARISONS | {"?", ":", ":=", ",", ";", "~>", "&", "??", "?:", "..", "(", "[", "{", ")", "]", "}"}
_WORDS = frozenset({"and", "or", "in"})
_NOT_PAYLOAD = frozenset({"settings", "results", "problem", "receipt", "verdict", "view", "urls"})

Kind = Literal["path", "number", "other"]


@dataclass(frozen=True, slots=True)
class Operand:
    """`text` is the source as written; `start` its offset."""

    kind: Kind
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Operation:
    """A binary operator with what stands on either side. `predicate`: inside of `[…]` behind a value."""

    operator: Token
    left: Operand
    right: Operand
    predicate: bool


def operations(site: Site, wanted: frozenset[str]) -> Iterator[Operation]:
    """The binary operations of an expression whose operator is among those wanted."""
    found = tokens(site.expression.text)
    reader = _Reader(site, found)
    tight = wanted <= ARITHMETIC
    for n, token in enumerate(found):
        binary = token.text in wanted and token.kind in ("operator", "name") and n > 0 and ends_a_value(found[n - 1])
        if not binary or (token.kind == "name" and token.text not in _WORDS) or _wildcard(found, n):
            continue
        left, right = reader.before(n, tight), reader.after(n, tight)
        yield Operation(token, left, right, _in_predicate(found, n))


def _wildcard(found: list[Token], n: int) -> bool:
    """`*` and `%` behind a dot or an operator are steps of a path."""
    return found[n].text in ("*", "**", "%") and not ends_a_value(found[n - 1])


def _in_predicate(found: list[Token], n: int) -> bool:
    depth = 0
    for at in range(n - 1, -1, -1):
        text = found[at].text if found[at].kind == "operator" else ""
        depth += (text in (")", "]", "}")) - (text in ("(", "[", "{"))
        if depth < 0:
            if text == "[":
                return at > 0 and ends_a_value(found[at - 1])
            depth = 0
    return False


class _Reader:
    def __init__(self, site: Site, found: list[Token], depth: int = 0) -> None:
        self.site, self.found, self.depth = site, found, depth
        self._own = bound(found)
        self._made = {
            t.text.strip("\"'") for n, t in enumerate(found[:-1]) if t.kind == "text" and found[n + 1].text == ":"
        }

    def before(self, n: int, tight: bool) -> Operand:
        at = n - 1
        while at >= 0 and not self._boundary(at, tight):
            at = opening(self.found, at) - 1 if self._closes(at) else at - 1
        return self._operand(at + 1, n)

    def after(self, n: int, tight: bool) -> Operand:
        at = n + 1
        depth = 0
        while at < len(self.found):
            text = self.found[at].text if self.found[at].kind == "operator" else ""
            if depth == 0 and (self._closes(at) or (text not in ("(", "[", "{") and self._boundary(at, tight))):
                break
            depth += (text in ("(", "[", "{")) - (text in (")", "]", "}"))
            at += 1
        return self._operand(n + 1, at)

    def _closes(self, at: int) -> bool:
        return self.found[at].kind == "operator" and self.found[at].text in (")", "]", "}")

    def _boundary(self, at: int, tight: bool) -> bool:
        token = self.found[at]
        if self._closes(at):
            return opening(self.found, at) < 0 or at == len(self.found)
        if token.kind == "name":
            return token.text in _WORDS and (at == 0 or self.found[at - 1].text != ".")
        if token.kind != "operator":
            return False
        if token.text in ARITHMETIC and tight:
            return at > 0 and ends_a_value(self.found[at - 1]) and not _wildcard(self.found, at)
        return token.text in _LOOSER

    def _operand(self, begin: int, end: int) -> Operand:
        if begin >= end:
            return Operand("other", "", 0)
        first, last = self.found[begin], self.found[end - 1]
        text = self.site.expression.text[first.start : last.end]
        return Operand(self._kind(begin, end), text, first.start)

    def _kind(self, begin: int, end: int) -> Kind:
        """Of the tokens [begin, end)."""
        if self.found[begin].text == "-" and end - begin == 2:
            begin += 1
        if end - begin == 1 and self.found[begin].kind == "number":
            return "number"
        if any(self._arithmetic(at, begin) for at in self._outer(begin, end)):
            return "other"
        return "path" if self._is_path(begin, end) else "other"

    def _outer(self, begin: int, end: int) -> Iterator[int]:
        at = end - 1
        while at >= begin:
            if self._closes(at):
                at = opening(self.found, at) - 1
                continue
            yield at
            at -= 1

    def _arithmetic(self, at: int, begin: int) -> bool:
        token = self.found[at]
        if token.kind != "operator" or token.text not in ARITHMETIC:
            return False
        return at == begin or (ends_a_value(self.found[at - 1]) and not _wildcard(self.found, at))

    def _is_path(self, begin: int, end: int) -> bool:
        last = end - 1
        while last > begin and self.found[last].text == "]":
            last = opening(self.found, last) - 1
        if last < begin:
            return False
        token, root = self.found[last], self.found[begin]
        if root.kind == "variable" and root.text[1:] in _NOT_PAYLOAD | self._own:
            return False
        if token.kind == "variable":
            return self._is_payload_variable(token, last == begin)
        if token.text == ")" and opening(self.found, last) == begin:
            return ";" not in [t.text for t in self.found[begin:last]] and self._kind(begin + 1, last) == "path"
        if token.kind != "name" or token.text.strip("`") in self._made:
            return False
        return last > begin or token.text not in ("true", "false", "null", "function")

    def _is_payload_variable(self, token: Token, alone: bool) -> bool:
        if token.text in ("$", "$$"):
            return alone and len(self.found) > 1 and not any(t.text in ("[", "function", "λ", "(") for t in self.found)
        given = self.site.lets.get(token.text[1:])
        if given is None or not alone or self.depth > 4:
            return False
        found = tokens(given.text)
        lets = {name: e for name, e in self.site.lets.items() if name != token.text[1:]}
        inner = Site(given, "let", self.site.feed, lets)
        return (
            bool(found)
            and _Reader(inner, found, self.depth + 1)._kind(0, len(found)) == "path"
            and not any(t.text in _LOOSER - {"(", ")", "[", "]"} for t in found)
        )
