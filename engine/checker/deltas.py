"""Changes of stock that a resend would apply twice, or that would be lost for a resend."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context, RuleSite
from engine.problems import Problem

_DELTA = "RecordStockMovement"
_TELLS_APART = frozenset({"occurred_at", "source_time", "source_version", "reference"})


def deltas(context: Context) -> Iterator[Problem]:
    """`delta_without_key`: two equal deltas are two facts, so each needs an id or a time."""
    told: set[tuple[str, ...]] = set()
    for site in context.rules:
        at = site.idempotency_path
        if site.rule.command == _DELTA and at not in told and not context.touched(at) and not _told_apart(site):
            told.add(at)
            message = "a change of stock that is applied twice stays wrong: it needs an id or a time"
            hint = "write event_id: […], or map occurred_at or reference from the payload"
            yield Problem(context.place(at, key=True), "delta_without_key", message, hint)


def _told_apart(site: RuleSite) -> bool:
    if site.idempotency == "none":
        return False
    if site.idempotency.event_id is not None:
        return True
    return bool(_TELLS_APART & site.rule.fields.keys()) or site.rule.version is not None
