"""Variables that nothing defines."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from engine.checker.functions import BUILT_IN
from engine.checker.sites import REPLY_GLOBALS, Context, Site
from engine.checker.syntax import compiles
from engine.checker.tokens import called, tokens
from engine.jsonata import reads
from engine.problems import Problem


def variables(context: Context) -> Iterator[Problem]:
    """`unknown_variable`: neither let, nor bound in the expression, nor always there."""
    for site in context.sites:
        if compiles(site):
            yield from _of(site)


def _of(site: Site) -> Iterator[Problem]:
    free = reads(site.expression.text).bindings - site.names - BUILT_IN
    if not free:
        return
    found = tokens(site.expression.text)
    for n, token in enumerate(found):
        name = token.text[1:]
        if token.kind == "variable" and name in free and not called(found, n):
            free -= {name}
            yield Problem(
                site.place(token.start), "unknown_variable", f"${name} is not defined here", _hint(site, name)
            )


def _hint(site: Site, name: str) -> str:
    if name in site.later:
        if site.role == "reply":
            return "names from let do not reach replies: write the expression out, from $$"
        return f"let names hold from the next line on: define ${name} further up" if site.role == "let" else (
            f"${name} is named by a let that is read only after this")  # fmt: skip
    if name == "hash" and site.role == "handshake":
        return "it is there in the reply of a handshake with hash: {algorithm: …, of: […]}"
    if name in REPLY_GLOBALS:
        return "it is there in replies only" if name not in ("request", "settings") else "it is not known this early"
    near = difflib.get_close_matches(name, sorted(site.names), 1)
    return f"did you mean ${near[0]}?" if near else f"known here: {', '.join(f'${n}' for n in sorted(site.names))}"
