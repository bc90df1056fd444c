"""Idempotency recipes that would take one fact for another, or a resend for a new one."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context, key_parts
from engine.checker.syntax import compiles
from engine.checker.tokens import tokens
from engine.compiler import needed
from engine.model import Idempotency
from engine.problems import Problem
from engine.yaml12 import Path

_ATTEMPT_WORDS = (
    "attempt", "retry", "retries", "redelivery", "delivery-id", "delivery_id", "deliveryid", "webhook-delivery",
    "request-id", "request_id", "requestid", "trace-id", "trace_id", "traceparent", "nonce", "received_at",
)  # fmt: skip
_STATES = frozenset({"UpdateStockLevel", "UpdatePrice", "UpdateItemAvailability", "UpdateStoreStatus"})
"""Commands that say what holds from now on: a value may come back."""
_TIMES = frozenset({"source_time", "source_version"})
_VALUE_WORDS = frozenset({"quantity", "qty", "stock", "price", "amount", "available", "instock", "inventory", "status"})
_TIME_WORDS = ("time", "date", "_at", "version", "sequence")


def idempotency(context: Context) -> Iterator[Problem]:
    """`no_idempotency`, `attempt_scoped_key`, `value_in_key` and `state_in_window`, as warnings."""
    yield from _attempts(context)
    yield from _states(context)
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
        yield from _values(recipe)


def _attempts(context: Context) -> Iterator[Problem]:
    for site in context.sites:
        if site.role != "key":
            continue
        # A let's source says more than its name does.
        sources = [site.expression, *needed(site.lets, [site.expression]).values()] if compiles(site) else []
        if any(word in part.text.lower() for part in sources for word in _ATTEMPT_WORDS):
            message = f"`{site.expression.text}` looks as if it changed with every attempt"
            hint = "use the id of the event, which a resend keeps"
            yield Problem(site.place(0), "attempt_scoped_key", message, hint, "warning")


def _states(context: Context) -> Iterator[Problem]:
    """A hash of the whole payload, with nothing in it that tells two equal messages of different times apart."""
    timed = {site.idempotency_path for site in context.rules if site.rule.version or _TIMES & site.rule.fields.keys()}
    told: set[Path] = set()
    for site in context.rules:
        path, recipe = site.idempotency_path, site.idempotency
        hashed = recipe.payload_hash if recipe != "none" else None
        if hashed is None or hashed.against or hashed.of is not None or site.rule.command not in _STATES:
            continue
        if path in timed or path in told or context.touched(path):
            continue
        told.add(path)
        place = context.place((*path, "payload_hash", "window"), key=True)
        message = "a state that changes and comes back within the window would be taken for a repeat"
        hint = "use against: last, or map the payload's time to source_time"
        yield Problem(place, "state_in_window", message, hint, "warning")


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
