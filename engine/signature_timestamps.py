"""When the sender signed, and whether that lies close enough to when the request was received."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DIGITS = re.compile(rb"[0-9]{1,15}")
_RFC3339 = re.compile(rb"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(value: bytes, unit: str) -> timedelta | None:
    """Time since 1970-01-01T00:00:00Z; None where the value is not in the unit (s, ms or rfc3339)."""
    if unit == "rfc3339":
        return _rfc3339(value)
    if not _DIGITS.fullmatch(value):
        return None
    number = int(value)
    try:
        return timedelta(milliseconds=number) if unit == "ms" else timedelta(seconds=number)
    except OverflowError:
        return None


def write(at: datetime, unit: str) -> str:
    """A moment in the unit."""
    if unit == "rfc3339":
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str((at - _EPOCH) // timedelta(milliseconds=1 if unit == "ms" else 1000))


def age(signed: timedelta, received_at: datetime) -> timedelta:
    """How long before the request was received the sender signed; negative for a time to come."""
    return (received_at - _EPOCH) - signed


def _rfc3339(value: bytes) -> timedelta | None:
    found = _RFC3339.fullmatch(value)
    if not found:
        return None
    day, clock, fraction, zone = (part.decode() if part else "" for part in found.groups())
    offset = "+00:00" if zone in "Zz" else zone
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{fraction[:7].ljust(7, '0') if fraction else ''}{offset}")
        return at - _EPOCH
    except (ValueError, OverflowError):
        return None
