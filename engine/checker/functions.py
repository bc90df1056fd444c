"""Calls of functions that JSONata does not have, or that this language refuses."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from engine.checker.sites import Context
from engine.checker.tokens import tokens
from engine.problems import Problem

BUILT_IN = frozenset(
    """
    abs append assert average base64decode base64encode boolean ceil clone contains count decodeUrl
    decodeUrlComponent distinct each encodeUrl encodeUrlComponent error eval exists filter floor formatBase
    formatInteger formatNumber fromMillis join keys length lookup lowercase map match max merge millis min not now
    number pad parseInteger power random reduce replace reverse round shuffle sift single sort split spread sqrt
    string substring substringAfter substringBefore sum toMillis trim type uppercase zip
    """.split()
)
_REFUSED = {
    "eval": "it would run the provider's text as a program; unwrap reads JSON inside a field",
    "random": "the same message must give the same commands",
    "shuffle": "the same message must give the same commands",
    "now": "write $request.received_at",
    "millis": "write $toMillis($request.received_at)",
}


def functions(context: Context) -> Iterator[Problem]:
    """`unknown_function` with the nearest built-in one, `function_refused` with what to write instead."""
    from engine.checker.variables import bound

    for site in context.sites:
        found = tokens(site.expression.text)
        own = bound(found)
        for n, token in enumerate(found):
            name = token.text[1:]
            if token.kind != "variable" or not name or name == "$" or name in own:
                continue
            place = site.expression.scalar.place(token.start)
            if name in _REFUSED and name not in site.names:
                yield Problem(place, "function_refused", f"${name} is refused", _REFUSED[name])
            elif n + 1 < len(found) and found[n + 1].text == "(" and name not in BUILT_IN:
                near = difflib.get_close_matches(name, BUILT_IN, 1)
                hint = f"did you mean ${near[0]}?" if near else "see the JSONata function library"
                yield Problem(place, "unknown_function", f"${name} is not a function of JSONata", hint)
