"""Idempotency recipes that would take one fact for another."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context
from engine.checker.tokens import tokens
from engine.model import Idempotency
from engine.problems import Problem

_ATTEMPT_WORDS = ("attempt", "retry", "delivery-id", "delivery_id", "deliveryid", "webhook-delivery")
_VALUE_WORDS = frozenset({"quantity", "qty", "stock", "price", "amount", "available", "instock", "inventory", "status"})


def idempotency(context: Context) -> Iterator[Problem]:
    """`no_idempotency`, `attempt_scoped_key` and `value_in_key`, as warnings."""
    for name, feed in context.provider.feeds.items():
        place = context.document.place_of(("feeds", name, "idempotency"), key=True)
        if feed.idempotency == "none" and feed.commands:
            yield Problem(
                place, "no_idempotency", f"every repeat of a message to {name} is done again",
                "use event_id or payload_hash; none is for questions", "warning",
            )  # fmt: skip
        recipes = [feed.idempotency, *(event.idempotency for event in (feed.events or {}).values())]
        for recipe in recipes:
            if isinstance(recipe, Idempotency):
                yield from _parts(recipe)


def _parts(recipe: Idempotency) -> Iterator[Problem]:
    for part in recipe.event_id or ():
        lowered = part.text.lower()
        if any(word in lowered for word in _ATTEMPT_WORDS):
            yield Problem(
                part.scalar.start, "attempt_scoped_key", f"`{part.text}` looks as if it changed with every attempt",
                "use the id of the event, which a resend keeps", "warning",
            )  # fmt: skip
    timed = any("time" in e.text.lower() or "date" in e.text.lower() or "_at" in e.text.lower() for e in _of(recipe))
    for part in _of(recipe):
        names = {token.text.lower() for token in tokens(part.text) if token.kind == "name"}
        if names & _VALUE_WORDS and recipe.payload_hash is not None and recipe.payload_hash.against is None and not timed:
            yield Problem(
                part.scalar.start, "value_in_key", "a value that goes from 5 to 4 and back to 5 would be lost within the window",
                "use against: last, or let a time count too", "warning",
            )  # fmt: skip


def _of(recipe: Idempotency) -> tuple[object, ...] | tuple:  # type: ignore[type-arg]
    return recipe.payload_hash.of or () if recipe.payload_hash else ()
