"""Names given by `let`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from engine.checker.functions import BUILT_IN
from engine.checker.sites import REPLY_GLOBALS, Context
from engine.checker.tokens import tokens
from engine.model import Expression
from engine.problems import Problem

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def lets(context: Context) -> Iterator[Problem]:
    """`let_name`: a name that is taken or not a name; `let_function`: let holds data, not functions."""
    for path, table in _tables(context):
        for name, expression in table.items():
            place = context.document.place_of((*path, name), key=True)
            if name in BUILT_IN or name in REPLY_GLOBALS:
                yield Problem(place, "let_name", f"${name} stands for something already", "choose another name")
            elif not _NAME.match(name):
                yield Problem(place, "let_name", f"{name!r} is not a variable's name", "use letters, digits and _")
            for token in tokens(expression.text):
                if token.text in ("function", "λ") and token.kind in ("name", "operator"):
                    yield Problem(
                        expression.scalar.place(token.start),
                        "let_function",
                        "let holds data, not functions",
                        "use the function where it is needed, or a lookup",
                    )
                    break


def _tables(context: Context) -> Iterator[tuple[tuple[str, ...], Mapping[str, Expression]]]:
    for name, feed in context.provider.feeds.items():
        yield ("feeds", name, "let"), feed.let
        for key, event in (feed.events or {}).items():
            yield ("feeds", name, "events", key, "let"), event.let
    for site in context.rules:
        yield (*site.path, "let"), site.rule.let
