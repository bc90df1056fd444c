"""Snapshots and `emit: changed`: what they need to know who is there."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context, RuleSite
from engine.problems import Problem

_RETIRABLE = frozenset({"item_id", "variant_id", "category_id", "addon_group_id", "addon_id", "store_id"})
_HINT = "use it on rules that upsert stores, items, variants, categories or addon groups"


def snapshots(context: Context) -> Iterator[Problem]:
    """`snapshot_command` and `snapshot_scope`."""
    for site in context.rules:
        key = "snapshot" if site.rule.snapshot else "emit" if site.rule.emit == "changed" else ""
        at = (*site.path, key)
        if not key or context.touched(at):
            continue
        if (wrong := _of_command(context, site)) is not None:
            yield Problem(context.place(at, key=True), "snapshot_command", wrong, _HINT)
        elif site.rule.snapshot and (missing := _of_scope(context, site)) is not None:
            yield Problem(context.place((*at, "within")), "snapshot_scope", *missing)


def _of_command(context: Context, site: RuleSite) -> str | None:
    command = site.rule.command
    schema = context.canon.commands.get(command or "")
    if command is not None and schema is None:
        return None  # told as an unknown command
    if schema is None or command is None or not command.startswith("Upsert") or schema.subject[0] not in _RETIRABLE:
        return f"{command or 'a rule without a command'} does not say which entities there are"
    return None


def _of_scope(context: Context, site: RuleSite) -> tuple[str, str] | None:
    """(message, hint) where the rule does not say within what it is whole."""
    assert site.rule.snapshot is not None
    within, fields = site.rule.snapshot.within, site.rule.fields
    if within == "store" and not site.has_store and "store_id" not in fields:
        return (
            "no store is said, so nobody knows which store's entities are absent",
            "give store_id, or scope: {store: …}",
        )
    if within == "item" and "item_id" not in fields:
        return "no item is said, so nobody knows which item's entities are absent", "give item_id"
    return None
