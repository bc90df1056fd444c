"""Names given by `let`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from engine.checker.field_specs import list_fields
from engine.checker.functions import BUILT_IN
from engine.checker.sites import REPLY_GLOBALS, Context
from engine.checker.tokens import Token, opening, tokens
from engine.model import Expression
from engine.problems import Problem
from engine.yaml12 import Path

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def lets(context: Context) -> Iterator[Problem]:
    """`let_name`: a name that is taken or not a name; `let_function`: let holds data, not functions."""
    for path, table in _tables(context):
        for name, expression in table.items():
            if name in BUILT_IN or name in REPLY_GLOBALS:
                message = f"${name} stands for something already"
                yield Problem(context.place((*path, name), key=True), "let_name", message, "choose another name")
            elif not _NAME.match(name):
                message = f"{str(name)!r} cannot be a variable's name"
                hint = "begin with a letter; letters, digits and _ may follow"
                yield Problem(context.place((*path, name), key=True), "let_name", message, hint)
            if expression.scalar.start.file and (at := _function(tokens(expression.text))) is not None:
                hint = "use the function where it is needed, or a lookup"
                yield Problem(expression.scalar.place(at), "let_function", "let holds data, not functions", hint)


def _function(found: list[Token]) -> int | None:
    """The offset of the function that an expression as a whole is; None where its value is data."""
    while len(found) > 1 and found[0].text == "(" and opening(found, len(found) - 1) == 0:
        found = found[1:-1]
    if not found:
        return None
    first = found[0]
    if first.text in ("function", "λ") and found[-1].text == "}":
        return first.start
    lone = len(found) == 1 and first.kind == "variable" and first.text[1:] in BUILT_IN
    composed = all(t.text == "~>" or t.text[1:] in BUILT_IN for t in found) and len(found) > 1
    return first.start if lone or composed else None


def _tables(context: Context) -> Iterator[tuple[Path, Mapping[str, Expression]]]:
    for name, feed in context.provider.feeds.items():
        yield ("feeds", name, "let"), feed.let
        for key, event in (feed.events or {}).items():
            yield ("feeds", name, "events", key, "let"), event.let
    for site in context.rules:
        yield (*site.path, "let"), site.rule.let
    for path, spec in list_fields(context):
        yield (*path, "let"), spec.let
