"""Calls of functions that JSONata does not have, or that this language refuses."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from engine.checker.sites import Context, Site
from engine.checker.syntax import compiles
from engine.checker.tokens import bound, called, tokens
from engine.problems import Problem

_NAMES = """
abs append assert average base64decode base64encode boolean ceil clone contains count decodeUrl
decodeUrlComponent distinct each encodeUrl encodeUrlComponent error eval exists filter floor
formatBase formatInteger formatNumber fromMillis join keys length lookup lowercase map match max
merge millis min not now number pad parseInteger power random reduce replace reverse round shuffle
sift single sort split spread sqrt string substring substringAfter substringBefore sum toMillis trim
type uppercase zip
"""
BUILT_IN = frozenset(_NAMES.split())
"""The functions that both engines have, without the dollar sign."""

_REFUSED = {
    "eval": "it would run the provider's text as a program; unwrap reads JSON inside a field",
    "random": "the same message must give the same commands",
    "shuffle": "the same message must give the same commands",
    "now": "write $request.received_at",
    "millis": "write $toMillis($request.received_at)",
}


def functions(context: Context) -> Iterator[Problem]:
    """`unknown_function` with the nearest built-in one, `function_refused` with what to write instead."""
    for site in context.sites:
        if compiles(site):
            yield from _of(site)


def _of(site: Site) -> Iterator[Problem]:
    found = tokens(site.expression.text)
    own = bound(found)
    for n, token in enumerate(found):
        name = token.text[1:]
        if token.kind != "variable" or name in ("", "$") or name in own:
            continue
        if name in _REFUSED and name not in site.names:
            yield Problem(site.place(token.start), "function_refused", f"${name} is refused", _REFUSED[name])
        elif called(found, n) and name not in BUILT_IN:
            yield Problem(site.place(token.start), "unknown_function", *_unknown(site, name))


def _unknown(site: Site, name: str) -> tuple[str, str]:
    if name in site.names:
        return f"${name} is data, not a function", f"write $lookup(${name}, …) to read an entry of it"
    near = difflib.get_close_matches(name, sorted(BUILT_IN), 1)
    hint = f"did you mean ${near[0]}?" if near else "see the function library of JSONata"
    return f"${name} is not a function of JSONata", hint
