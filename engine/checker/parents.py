"""The parent operator, with which the engines lose an element's index."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context
from engine.checker.tokens import ends_a_value, tokens
from engine.problems import Problem


def parents(context: Context) -> Iterator[Problem]:
    """`parent_refused`: `%` as a step of a path."""
    for site in context.sites:
        found = tokens(site.expression.text)
        for n, token in enumerate(found):
            if token.kind == "operator" and token.text == "%" and not ends_a_value(found[n - 1] if n else None):
                message = "the parent operator % is refused"
                hint = "name what is round the element with let, in the outer rule, and write $name here"
                yield Problem(site.place(token.start), "parent_refused", message, hint)
                break
