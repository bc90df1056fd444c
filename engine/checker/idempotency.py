"""Idempotency recipes that would take one fact for another, or a resend for a new one."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context, key_parts
from engine.checker.tokens import tokens
from engine.model import Idempotency
from engine.problems import Problem
from engine.yaml12 import Path

_ATTEMPT_WORDS = ("attempt", "retry", "delivery-id", "delivery_id", "deliveryid", "webhook-delivery")
_VALUE_WORDS = frozenset({"quantity", "qty", "stock", "price", "amount", "available", "instock", "inventory", "status"})
_TIME_WORDS = ("time", "date", "_at", "version", "sequence")


def idempotency(context: Context) -> Iterator[Problem]:
    """`no_idempotency`, `attempt_scoped_key` and `value_in_key`, as warnings."""
    for name, feed in context.provider.feeds.items():
        path = ("feeds", name, "idempotency")
        yield from _recipe(context, path, feed.idempotency, bool(feed.commands))
        for key, event in (feed.events or {}).items():
            inner = ("feeds", name, "events", key, "idempotency")
            yield from _recipe(context, inner, event.idempotency, bool(event.commands))
            if event.idempotency is None and event.commands and not feed.commands:
                yield from _recipe(context, path, feed.idempotency, True)


def _recipe(context: Context, path: Path, recipe: object, works: bool) -> Iterator[Problem]:
    if recipe == "none" and works and not context.touched(path):
        message = "every repeat of such a message is done again"
        hint = "use event_id or payload_hash; none is for questions"
        yield Problem(context.place(path, key=True), "no_idempotency", message, hint, "warning")
    if isinstance(recipe, Idempotency):
        yield from _attempts(recipe)
        yield from _values(recipe)


def _attempts(recipe: Idempotency) -> Iterator[Problem]:
    for part in recipe.event_id or ():
        if any(word in part.text.lower() for word in _ATTEMPT_WORDS):
            message = f"`{part.text}` looks as if it changed with every attempt"
            hint = "use the id of the event, which a resend keeps"
            yield Problem(part.scalar.start, "attempt_scoped_key", message, hint, "warning")


def _values(recipe: Idempotency) -> Iterator[Problem]:
    hashed = recipe.payload_hash
    if hashed is None or hashed.against is not None:
        return
    parts = key_parts(recipe)
    if any(word in part.text.lower() for part in parts for word in _TIME_WORDS):
        return
    for part in parts:
        if {token.text.lower() for token in tokens(part.text) if token.kind == "name"} & _VALUE_WORDS:
            message = "a value that goes from 5 to 4 and back to 5 within the window would be lost"
            hint = "use against: last, or let a time count too"
            yield Problem(part.scalar.start, "value_in_key", message, hint, "warning")
