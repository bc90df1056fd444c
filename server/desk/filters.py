"""What a list or a replay is narrowed to, from a query string or a form and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.plans import LOOKUP
from stores.desk_deliveries import Filters
from stores.desk_groups import Cause

NAMES = (
    "provider",
    "feed",
    "connection",
    "tenant",
    "state",
    "class",
    "code",
    "since",
    "until",
    "store",
    "sku",
    "id",
    "text",
)
CAUSE = ("tenant", "provider", "feed", "cls", "code", "kind", "within", "external_id")
STATES = (
    "in_flight", "accepted", "partial", "duplicate", "stale", "ignored", "failed", "parked", "quarantined", "evicted",
)  # fmt: skip
CLASSES = ("auth", "mapping", "validation", "processing", "duplicate")
_LONGEST = 500


class NotUnderstood(ValueError):
    """A filter cannot be read; the text says which."""


def given(query: Mapping[str, Any]) -> dict[str, str]:
    """The filters as they were written, empty ones left out."""
    found = {name: str(query.get(name, "")).strip()[:_LONGEST].replace("\x00", "") for name in NAMES}
    return {name: value for name, value in found.items() if value}


def filters(written: Mapping[str, str]) -> Filters:
    """Raises NotUnderstood."""
    values: dict[str, Any] = {"cls" if name == "class" else name: value for name, value in written.items()}
    for name in ("since", "until"):
        if name in values:
            values[name] = _moment(name, values[name])
    return Filters(**values)


def _moment(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise NotUnderstood(f"“{name}” is no time: write 2026-01-31T17:00, in UTC.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def cause(query: Mapping[str, Any]) -> Cause:
    return Cause(**{name: str(query.get(name, ""))[:_LONGEST].replace("\x00", "") for name in CAUSE})


def cause_query(found: Cause) -> dict[str, str]:
    return {name: getattr(found, name) for name in CAUSE}


def because(found: Cause, most: int = 80) -> str:
    """The cause in a few words, as a heading has it."""
    if found.kind == LOOKUP:
        return f"{found.within} {found.external_id[:most]} {found.code} in {found.provider} {found.feed}"
    if found.external_id:
        where = f" at store {found.within}" if found.within else ""
        return f"{found.kind or 'id'} {found.external_id[:most]} {found.code}{where}"
    return f"{found.code} in {found.provider} {found.feed}"
