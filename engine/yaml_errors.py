"""What a YAML syntax error means to the author of a provider file.

Most come from an expression that wants quotes: `: ` inside it, or a first character that YAML keeps.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from engine.problems import Problem

if TYPE_CHECKING:
    from engine.yaml12 import Lines

_KEY = re.compile(r"(?:^|[{,\[]|-\s)\s*(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s:,{}\[\]\"'#][^\s:,{}\[\]]*)\s*:[ \t]+", re.MULTILINE)
_LOOKS_LIKE_KEY = re.compile(r"\s*(?:- )?[\w.-]+:(?:\s|$)")
_INDICATORS = "%@`*&!|>{["
_QUOTE = "quote this expression: '…', or write it under >- on lines of its own"


def syntax_problem(error: yaml.YAMLError, lines: Lines) -> Problem:
    """The problem of an error that PyYAML raises, at the expression to quote or where YAML gave up."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or "the file is not YAML"
    offset = min(mark.index, len(lines.text)) if mark else 0
    start = _value_round(lines.text, offset)
    if start is not None and (reason := _reason(lines.text, start, offset)):
        return Problem(lines.place(start), "unquoted_expression", reason, _QUOTE)
    hint = "indent with spaces" if _tab_before(lines.text, offset) else "look at the indentation, quotes and brackets up to here"
    return Problem(lines.place(offset), "yaml_syntax", f"YAML cannot be read from here: {said}", hint)


def _value_round(text: str, offset: int) -> int | None:
    """Where the value begins that holds the offset: after the last `key: ` before it on its line or,
    for a value that goes on over lines, on the line that began it."""
    begin = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[begin : len(text) if end < 0 else end]
    if (start := _after_key(text, begin, offset)) is not None:
        return start
    if _LOOKS_LIKE_KEY.match(line) or not begin:
        return None
    above = text.rfind("\n", 0, begin - 1) + 1
    return _after_key(text, above, begin - 1)


def _after_key(text: str, begin: int, offset: int) -> int | None:
    starts = [found.end() for found in _KEY.finditer(text, begin, offset + 1) if found.end() <= offset]
    return starts[-1] if starts else None


def _reason(text: str, start: int, offset: int) -> str:
    first = text[start : start + 1]
    if text[offset : offset + 1] == ":" and first not in "|>":
        return "`: ` inside this unquoted expression is YAML's mark of a key"
    rest = text[start:].split("\n", 1)[0]
    if first in ('"', "'") and re.match(r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*')[ \t]*[^\s,}\]#]", rest):
        return "this expression begins with a quote, which for YAML ends with the next one"
    if first and first in _INDICATORS and offset - start <= len(rest):
        return f"this unquoted expression begins with {first}, which means something else in YAML"
    if re.search(r"\? ", rest) and re.search(r" : |[{]", rest):
        return "`? … : …` inside this unquoted expression is YAML's mark of a key"
    return ""


def _tab_before(text: str, offset: int) -> bool:
    return "\t" in text[text.rfind("\n", 0, offset) + 1 : offset + 1]
