"""Expressions that JSONata does not compile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engine.checker.sites import Context, Site
from engine.checker.tokens import tokens
from engine.jsonata import JsonataError, compile_text
from engine.problems import Problem
from engine.yaml12 import unbalanced

LONGEST = 20_000
"""Characters of one expression."""

_HINTS = {
    "S0101": "close the text with the quote that it began with",
    "S0102": "write the number with fewer digits, or as text in quotes",
    "S0103": "JSONata knows the escapes of JSON; write a backslash as \\\\",
    "S0104": "write four hexadecimal digits after \\u",
    "S0105": "close the name with the backtick that it began with",
    "S0106": "close the comment with */",
    "S0201": "look at what stands before this: an operator, a comma or a bracket may be missing",
    "S0202": "a comma, an operator or a closing bracket may be missing before this",
    "S0203": "close what was opened; an expression with ` #` or `: ` in it must be quoted in YAML",
    "S0204": "this is no operator of JSONata: and, or, in, &, =, !=, ?, : are",
    "S0206": "this is no operator of JSONata: and, or, in, &, =, !=, ?, : are",
    "S0207": "something is missing at the end",
    "S0209": "write the predicate after the step, before the grouping",
    "S0210": "group once a step",
    "S0211": "put a value before the operator",
    "S0212": "write $name := value",
    "S0213": "a text is no step of a path; a name with odd characters stands in backticks",
    "S0214": "write @$name or #$name",
    "S0215": "bind with @ before a predicate",
    "S0216": "bind with @ before a sort",
    "S0217": "reach what is round an element through let: name it there, and write $name here",
    "S0301": "write a pattern between the slashes",
    "S0302": "close the regular expression with /",
}

_CLOSED_BY = {"(": ")", "[": "]", "{": "}"}


def compiles(site: Site) -> bool:
    """Whether other rules can look at an expression."""
    try:
        return len(site.expression.text) <= LONGEST and compile_text(site.expression.text) is not None
    except JsonataError:
        return False


def syntax(context: Context) -> Iterator[Problem]:
    """`expression_syntax`: the engine's message; `unquoted_expression`: YAML cut a comment off."""
    # Where YAML stumbled, the text is not what the file says.
    stumbled = {problem.place for problem in context.document.problems}
    for site in context.sites:
        if site.expression.scalar.start in stumbled:
            continue
        if len(site.expression.text) > LONGEST:
            message = f"an expression has at most {LONGEST} characters"
            yield Problem(site.expression.scalar.start, "expression_too_long", message, "split it with let")
            continue
        try:
            compile_text(site.expression.text)
        except JsonataError as error:
            yield _problem(context, site, error)


def _problem(context: Context, site: Site, error: JsonataError) -> Problem:
    scalar = site.expression.scalar
    if _cut_by_a_comment(context, site) and unbalanced(site.expression.text):
        message = "` #` begins a comment in YAML and cut this expression off"
        return Problem(scalar.start, "unquoted_expression", message, "quote this expression: '…'")
    if error.code == "S0203" and (opener := _still_open(site.expression.text)) is not None:
        # The end of the text, where the engine gave up, may be lines away.
        return Problem(scalar.place(opener), "expression_syntax", f"JSONata: {scalar[opener]!r} is not closed",
                       _HINTS["S0203"])  # fmt: skip
    place = scalar.place(min(error.start or 0, len(scalar)))
    message = error.message[:1].lower() + error.message[1:] if scalar.strip() else "the expression is empty"
    return Problem(place, "expression_syntax", f"JSONata: {message}", _HINTS.get(error.code, "correct the expression"))


def _still_open(text: str) -> int | None:
    """Where the innermost bracket stands that nothing closes; None where none is open."""
    opened: list[int] = []
    for token in tokens(text):
        if token.kind == "operator" and token.text in _CLOSED_BY.values() and opened:
            opened.pop()
        elif token.kind == "operator" and token.text in _CLOSED_BY:
            opened.append(token.start)
    return opened[-1] if opened else None


def _cut_by_a_comment(context: Context, site: Site) -> bool:
    """Whether a comment follows an unquoted expression on the line where it ends."""
    raw = site.expression.scalar.raw
    if raw.startswith(("'", '"', "|", ">")):
        return False
    start = site.expression.scalar.start
    last = replace(start, line=start.line + raw.count("\n"))
    begin = start.column - 1 + len(raw) if "\n" not in raw else len(raw) - raw.rfind("\n") - 1
    return context.document.line_of(last)[begin:].lstrip(" \t").startswith("#")
