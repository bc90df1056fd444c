"""Currencies and zones that there are not."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator

from engine.checker.sites import Context
from engine.currencies import MINOR_UNITS
from engine.problems import Problem


def local_defaults(context: Context) -> Iterator[Problem]:
    """`unknown_currency` and `unknown_time_zone` under defaults."""
    defaults = context.provider.defaults
    if defaults.currency is not None and defaults.currency not in MINOR_UNITS:
        place = context.document.place_of(("defaults", "currency"))
        yield Problem(place, "unknown_currency", f"{defaults.currency} is not an ISO 4217 currency", "such as INR")
    if defaults.time_zone is not None and not _known(defaults.time_zone):
        place = context.document.place_of(("defaults", "time_zone"))
        yield Problem(place, "unknown_time_zone", f"{defaults.time_zone} is not an IANA time zone", "such as Asia/Kolkata")


def _known(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
