"""Currencies, units and zones that there are not."""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Iterator

from engine.checker.sites import Context
from engine.currencies import MINOR_UNITS
from engine.problems import Problem

_UNITS = """
each piece pair dozen pack box case carton crate pallet bag bottle can jar roll sheet set strip tray bundle
mg g kg lb oz t ml cl l gal m cm mm km ft in yd m2 m3 hour day portion plate serving
"""
UNITS = frozenset(_UNITS.split())
"""Units that are spelled as they usually are."""


def local_defaults(context: Context) -> Iterator[Problem]:
    """`unknown_currency`, `unknown_time_zone` and, as a warning, `unknown_unit` under defaults."""
    defaults = context.provider.defaults
    if defaults.currency is not None and defaults.currency not in MINOR_UNITS:
        near = difflib.get_close_matches(defaults.currency, sorted(MINOR_UNITS), 1)
        message, hint = (
            f"{defaults.currency} is not an ISO 4217 currency",
            f"such as {near[0] if near else 'INR'}",
        )
        yield Problem(context.place(("defaults", "currency")), "unknown_currency", message, hint)
    if defaults.time_zone is not None and not _known(defaults.time_zone):
        message, hint = f"{defaults.time_zone} is not an IANA time zone", "such as Asia/Kolkata"
        yield Problem(context.place(("defaults", "time_zone")), "unknown_time_zone", message, hint)
    if defaults.unit is not None and defaults.unit not in UNITS:
        near = difflib.get_close_matches(defaults.unit.lower(), sorted(UNITS), 1)
        hint = f"did you mean {near[0]}?" if near else "such as each or kg"
        message = f"{defaults.unit} is not a usual unit"
        yield Problem(context.place(("defaults", "unit")), "unknown_unit", message, hint, "warning")


def _known(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
