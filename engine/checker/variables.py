"""Variables that nothing defines."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from engine.checker.functions import BUILT_IN
from engine.checker.sites import Context
from engine.checker.tokens import Token, tokens
from engine.problems import Problem


def variables(context: Context) -> Iterator[Problem]:
    """`unknown_variable`: neither let, nor bound in the expression, nor one of those that are always there."""
    for site in context.sites:
        found = tokens(site.expression.text)
        known = site.names | bound(found)
        for n, token in enumerate(found):
            name = token.text[1:]
            if token.kind != "variable" or name in ("", "$") or name in known or _called(found, n):
                continue
            if name in BUILT_IN:
                continue
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean ${near[0]}?" if near else f"known here: {', '.join(f'${n}' for n in sorted(known))}"
            yield Problem(
                site.expression.scalar.place(token.start), "unknown_variable", f"${name} is not defined here", hint
            )


def _called(found: list[Token], n: int) -> bool:
    return n + 1 < len(found) and found[n + 1].text == "("


def bound(found: list[Token]) -> frozenset[str]:
    """Names that an expression binds itself: by `:=`, as a function's parameters, by `@` and `#`."""
    names = set()
    for n, token in enumerate(found):
        if token.kind != "variable":
            continue
        after = found[n + 1].text if n + 1 < len(found) else ""
        before = found[n - 1].text if n else ""
        if after == ":=" or before in ("@", "#"):
            names.add(token.text[1:])
        elif token.text[1:] and _in_parameters(found, n):
            names.add(token.text[1:])
    return frozenset(names)


def _in_parameters(found: list[Token], n: int) -> bool:
    """Whether a variable stands in the brackets behind `function` or `λ`."""
    at = n - 1
    while at >= 0 and (found[at].kind == "variable" or found[at].text == ","):
        at -= 1
    return at >= 1 and found[at].text == "(" and found[at - 1].text in ("function", "λ")
