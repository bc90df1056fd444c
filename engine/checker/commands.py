"""Commands that the canon does not have, and fields that a command must have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from engine.checker.sites import Context, RuleSite
from engine.problems import Problem

_DELTA = "RecordStockMovement"


def commands(context: Context) -> Iterator[Problem]:
    """`unknown_command`, `missing_field`, `fields_without_command`, `rule_does_nothing`, `delta_without_key`."""
    for site in context.rules:
        yield from _rule(context, site)


def _rule(context: Context, site: RuleSite) -> Iterator[Problem]:
    rule = site.rule
    place = context.document.place_of(site.path, key=True)
    if rule.command is None:
        if rule.fields:
            yield Problem(place, "fields_without_command", f"{site.path[-1]} has fields but no command", "add command:")
        elif not rule.commands:
            yield Problem(place, "rule_does_nothing", f"{site.path[-1]} has neither a command nor nested commands", "add command:")
        return
    schema = context.canon.commands.get(rule.command)
    if schema is None:
        near = difflib.get_close_matches(rule.command, context.canon.commands, 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(sorted(context.canon.commands))}"
        at = context.document.place_of((*site.path, "command"))
        yield Problem(at, "unknown_command", f"{rule.command} is not a canonical command", hint)
        return
    given = set(rule.fields) | {"merchant_id"} | ({"store_id"} if site.has_store else set())
    for name in sorted(schema.required - given):
        hint = "add it to fields, or a store to the feed's scope" if name == "store_id" else "add it to fields"
        yield Problem(place, "missing_field", f"{rule.command} needs {name}", hint)
    if schema.one_of and not given & set(schema.one_of):
        yield Problem(place, "missing_field", f"{rule.command} needs one of {', '.join(schema.one_of)}", "add one to fields")
    yield from _delta(context, site)


def _delta(context: Context, site: RuleSite) -> Iterator[Problem]:
    """A change that is applied twice is wrong for ever: it needs an id, or a payload with a time."""
    feed = context.provider.feeds[site.feed]
    recipes = [feed.idempotency, *(event.idempotency for event in (feed.events or {}).values() if event.idempotency)]
    hashed = any(r != "none" and r is not None and r.payload_hash is not None for r in recipes)  # type: ignore[union-attr]
    bare = any(r == "none" for r in recipes)
    timed = "occurred_at" in site.rule.fields or "reference" in site.rule.fields or site.rule.version is not None
    if site.rule.command == _DELTA and (bare or (hashed and not timed)):
        yield Problem(
            context.document.place_of(("feeds", site.feed, "idempotency"), key=True),
            "delta_without_key",
            "a change of stock that is applied twice stays wrong: it needs an id or a time",
            "use event_id, or map occurred_at or reference from the payload",
        )
