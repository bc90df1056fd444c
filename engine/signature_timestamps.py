"""When the sender signed, and whether that lies close enough to when the request was received."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from engine.auth_failures import refused

_DIGITS = re.compile(rb"[0-9]{1,15}")
_RFC3339 = re.compile(rb"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_HTTP_DATE = re.compile(rb"(?:[A-Za-z]{3}, )?(\d\d?) ([A-Za-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC|\+0000)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(value: bytes, unit: str) -> timedelta | None:
    """Time since 1970-01-01T00:00:00Z; None where the value is not in the unit (s, ms, rfc3339 or http_date)."""
    if unit == "rfc3339":
        return _rfc3339(value)
    if unit == "http_date":
        return _http_date(value)
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
    if unit == "http_date":
        return format_datetime(at.astimezone(UTC), usegmt=True)
    return str((at - _EPOCH) // timedelta(milliseconds=1 if unit == "ms" else 1000))


def age(signed: timedelta, received_at: datetime) -> timedelta:
    """How long before the request was received the sender signed; negative for a time to come."""
    return (received_at - _EPOCH) - signed


def check_age(age: timedelta, tolerance: int, future: int) -> None:
    """Raises Unauthorized for an age above the tolerance, or further ahead than `future`; both are seconds."""
    seconds = age.total_seconds()
    if -future <= seconds <= tolerance:
        return
    distance = f"{abs(seconds):.0f} seconds {'before' if seconds > 0 else 'after'} it was received"
    raise refused(
        "timestamp_outside_tolerance",
        f"The request was signed {distance}; allowed are {tolerance} before and {future} after.",
        "Set the sender's clock, or have it sign each attempt anew.",
        age_seconds=int(seconds),
        tolerance=tolerance,
        future=future,
    )


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


def _http_date(value: bytes) -> timedelta | None:
    """RFC 9110 section 5.6.7, its preferred form; senders also write UTC for GMT."""
    found = _HTTP_DATE.fullmatch(value)
    if not found:
        return None
    day, month, year, hour, minute, second = (part.decode() for part in found.groups())
    try:
        number = _MONTHS.index(month.lower()) + 1
        return datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=UTC) - _EPOCH
    except ValueError:
        return None
