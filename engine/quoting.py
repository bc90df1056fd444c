"""Advice where YAML took a part of an unquoted expression for its own syntax."""

from __future__ import annotations

import re

_VALUE = re.compile(r"^(\s*(?:- )?\s*[^\s#'\"{\[][^:]*:\s+)([^'\"|>#\s].*?: .*)$")
_OPENERS = {"(": ")", "[": "]", "{": "}"}


def advice(text: str, line: int, column: int) -> tuple[int, int, str] | None:
    """(line, column, expression) where the line before a syntax error has `: ` inside an unquoted value."""
    lines = text.splitlines()
    for number in (line, line - 1):
        if not 0 < number <= len(lines):
            continue
        found = _VALUE.match(lines[number - 1])
        if found and not found[2].startswith(("{", "[")):
            return number, len(found[1]) + 1, found[2].split(" #", 1)[0].rstrip().replace("'", "''")
    return None


def unbalanced(expression: str) -> bool:
    """Whether brackets or quotes of an expression are left open."""
    stack: list[str] = []
    quote = ""
    for character in expression:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif character in _OPENERS:
            stack.append(_OPENERS[character])
        elif stack and character == stack[-1]:
            stack.pop()
    return bool(stack or quote)
