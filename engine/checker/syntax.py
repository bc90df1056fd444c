"""Expressions that JSONata does not compile."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context
from engine.jsonata import JsonataError, compile_text
from engine.problems import Problem
from engine.quoting import unbalanced

_HINTS = {
    "S0217": "reach what is round an element through let: name it there, and write $name here",
    "S0101": "close the text with the quotes that it began with",
    "S0203": "close what was opened; an expression with ` #` or `: ` in it must be quoted in YAML",
}


def syntax(context: Context) -> Iterator[Problem]:
    """`expression_syntax`: the engine's own message at its place; `quote_expression`: YAML cut a comment off."""
    for site in context.sites:
        try:
            compile_text(site.expression.text)
        except JsonataError as error:
            scalar = site.expression.scalar
            if _cut_by_a_comment(context, scalar.start.line, scalar.raw) and unbalanced(scalar):
                yield Problem(
                    scalar.start,
                    "quote_expression",
                    "` #` begins a comment in YAML and cut this expression off",
                    "quote this expression",
                )
                continue
            place = scalar.place(min(error.start or 0, max(len(scalar) - 1, 0)))
            yield Problem(place, "expression_syntax", f"JSONata: {error.message}", _HINTS.get(error.code, ""))


def _cut_by_a_comment(context: Context, line: int, raw: str) -> bool:
    return not raw.startswith(("'", '"', "|", ">")) and context.line(line).find(f"{raw} #") >= 0
