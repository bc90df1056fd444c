"""What a YAML syntax error means to the author of a provider file.

Most come from an expression that wants quotes: `: ` inside it, or a first character that YAML keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from engine.places import Place
from engine.problems import Problem

_KEY = re.compile(
    r"(?:^|[{,\[]|-\s)\s*(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s:,{}\[\]\"'#][^\s:,{}\[\]]*)\s*:[ \t]+", re.MULTILINE
)
_LOOKS_LIKE_KEY = re.compile(r"\s*(?:- )?[\w.-]+:(?:\s|$)")
_TWO_PAIRS = re.compile(r"[\w.$]+ +([\w-]+)")
_INDICATORS = "%@`*&!|>{["
_QUOTE = "quote this expression: '…', or write it under >- on lines of its own"


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """A problem, and where YAML gave up; `start`, if known, is that of the expression to quote."""

    problem: Problem
    offset: int
    start: int | None


def syntax_problem(error: yaml.YAMLError, text: str, place: Callable[[int], Place]) -> SyntaxProblem:
    """The problem of an error that PyYAML raises, at the expression to quote or where YAML gave up."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or "the file is not YAML"
    offset = min(mark.index, len(text)) if mark else 0
    start = _glued_to(text, offset)
    if start is None:
        start = _value_round(text, offset)
    if start is not None and (reason := _reason(text, start, offset)):
        comma = _TWO_PAIRS.fullmatch(text, start, offset)
        hint = f"put a comma before {comma[1]}, or {_QUOTE}" if comma else _QUOTE
        return SyntaxProblem(Problem(place(start), "unquoted_expression", reason, hint), offset, start)
    if (found := _begun_before(error, text, offset)) is not None:
        at, message, what = found
        return SyntaxProblem(Problem(place(at), "yaml_syntax", message, what), offset, None)
    hint = "indent with spaces" if _tab_before(text, offset) else "look at indentation, quotes and brackets up to here"
    return SyntaxProblem(
        Problem(place(offset), "yaml_syntax", f"YAML cannot be read from here: {said}", hint), offset, None
    )


def _begun_before(error: yaml.YAMLError, text: str, offset: int) -> tuple[int, str, str] | None:
    """(offset, message, hint) of a fault that stands before the place where YAML stumbled over it."""
    if (quote := _open_quote(text, offset)) is not None:
        return (
            quote,
            f"the text that begins with {text[quote]} here has no end on its line",
            f"close it with {text[quote]}",
        )
    context, mark = getattr(error, "context", None) or "", getattr(error, "context_mark", None)
    if mark is not None and "flow" in context and "\n" in text[mark.index : offset]:
        opener = text[mark.index : mark.index + 1]
        closer = {"{": "}", "[": "]"}.get(opener, "")
        return (mark.index, f"{opener} is not closed", f"close it with {closer}") if closer else None
    if mark is not None and "simple key" in context:
        return mark.index, "this line has no key", "write `key: value`; ` #` begins a comment"
    return _uneven(text, offset)


_OPEN_QUOTE = re.compile(r"(?:^[ \t]*|[{,\[][ \t]*|- +)[\w.-]+: +(?=([\"']))", re.MULTILINE)


def _open_quote(text: str, offset: int) -> int | None:
    """Where a quoted text begins that its line does not end, though the next line begins with a key."""
    for found in _OPEN_QUOTE.finditer(text, 0, offset):
        line, _, below = text[found.end() :].partition("\n")
        if not re.match(_TEXT, line) and _LOOKS_LIKE_KEY.match(below):
            return found.end()
    return None


def _uneven(text: str, offset: int) -> tuple[int, str, str] | None:
    """A line whose key stands neither under the keys above it nor one level deeper."""
    lines = text[: text.find("\n", offset) if "\n" in text[offset:] else len(text)].split("\n")
    keys = [(len(line) - len(line.lstrip(" ")), line) for line in lines if _KEY_LINE.match(line)]
    if not keys or keys[-1][1] != lines[-1]:
        return None
    width = keys[-1][0]
    above = next((other for other, line in reversed(keys[:-1]) if _has_value(line) or other < width), None)
    if above is None or above == width or not _has_value(keys[-2][1]):
        return None
    at = sum(len(line) + 1 for line in lines[:-1]) + width
    spaces = f"{width} spaces before this key, {above} before the key above"
    return at, spaces, "give keys of one mapping the same indentation"


_KEY_LINE = re.compile(r" *[\w.-]+:(?: |$)")


def _has_value(line: str) -> bool:
    """Whether a key has its value on its line."""
    return bool(re.match(r" *[\w.-]+: +[^\s#|>]", line))


def masked(text: str, start: int, offset: int) -> str:
    """The text with the value from `start` on, which YAML stumbled over at `offset`, made harmless.

    Every other place of the text stays what it is, so that the rest of the file can be read.
    """
    end = max(_value_end(text, start, offset), start + 1)
    return text[:start] + re.sub(r"\S", "x", text[start:end]) + text[end:]


_TEXT = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|`[^`\n]*`")


def _value_end(text: str, start: int, offset: int) -> int:
    depth, at = 0, start
    while at < len(text):
        if found := _TEXT.match(text, at):
            at = found.end()
            continue
        c = text[at]
        if c in "\r\n" and at >= offset:
            break
        if not depth and (c in ",}]" or text.startswith(" #", at)):
            break
        depth += (c in "([{") - (c in ")]}")
        at += 1
    return at


def _glued_to(text: str, offset: int) -> int | None:
    """Where a `{…}` or `[…]` begins that goes on after its closing bracket: `{"a": b}.a`."""
    line = text.rfind("\n", 0, offset) + 1
    if offset == line or text[offset : offset + 1] in ",}]:\r\n#" or text[line:offset].rstrip()[-1:] not in ("}", "]"):
        return None
    depth = 0
    for at in range(offset - 1, line - 1, -1):
        depth += (text[at] in ")]}") - (text[at] in "([{")
        if depth == 0 and text[at] in "[{":
            return at
    return None


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
