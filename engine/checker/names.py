"""Names of rules and checks, which stand in failures and command keys."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.checker.sites import Context
from engine.problems import Problem

_RULE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_CODE = re.compile(r"[a-z][a-z0-9_]*\Z")


def names(context: Context) -> Iterator[Problem]:
    """`rule_name` and `check_name`."""
    for site in context.rules:
        if not _RULE.match(site.path[-1]):
            message = f"{str(site.path[-1])!r} cannot name a rule"
            yield Problem(context.place(site.path, key=True), "rule_name", message, "use letters, digits, - and _")
        for code in site.rule.check:
            if not _CODE.match(code):
                place = context.place((*site.path, "check", code), key=True)
                message = f"{str(code)!r} cannot be a failure's code"
                yield Problem(place, "check_name", message, "write it in lower case, words joined with _")
