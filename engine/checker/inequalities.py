"""`!=` where an absent field makes elements vanish."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.operands import operations
from engine.checker.sites import Context
from engine.checker.syntax import compiles
from engine.problems import Problem


def inequalities(context: Context) -> Iterator[Problem]:
    """`vanishing_inequality`: in `when`, `that` and predicates `a != b` is false where a is absent."""
    for site in context.sites:
        if not compiles(site) or site.role == "reply":
            continue
        for operation in operations(site, frozenset({"!="})):
            left = operation.left
            if (
                left.kind != "path"
                or left.text in ("$", "$$")
                or not (operation.predicate or site.role in ("when", "check"))
            ):
                continue
            written = f"{left.text} != {operation.right.text}"
            message = f"`{written}` is false where {left.text} is absent, so such elements vanish"
            hint = f"write $not({left.text} = {operation.right.text})"
            yield Problem(site.place(left.start), "vanishing_inequality", message, hint, "warning")
