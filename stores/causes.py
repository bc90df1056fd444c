"""The id, or other value, that a failure is about: by it failures are grouped without their JSON being read again."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

LONGEST: Final = 600
"""Bytes of UTF-8 that all of it may take: an index holds it. A longer one names no group of its own."""


class About(NamedTuple):
    """What a failure is about; "" each where no value is concerned. `within` is a store's external id, or a field."""

    kind: str = ""
    within: str = ""
    external_id: str = ""


def about(facts: Any) -> About:
    """Reads it from a failure's facts."""
    if not isinstance(facts, dict) or not facts.get("external_id"):
        return About()
    # Servers keep no NUL in a text.
    found = About(*(str(facts.get(name) or "").replace("\x00", "") for name in About._fields))
    return found if sum(len(one.encode("utf-8", "surrogatepass")) for one in found) <= LONGEST else About()


def about_json(data: bytes) -> About:
    """Reads it from a failure as JSON."""
    return about(orjson.loads(data).get("facts")) if b'"external_id"' in data else About()
