"""Lookups that are not there, and lookups that nothing uses."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from engine.checker.field_specs import mapped_fields
from engine.checker.sites import Context
from engine.places import Scalar
from engine.problems import Problem


def lookups(context: Context) -> Iterator[Problem]:
    """`unknown_lookup` with the nearest name; `unused_lookup` as a warning."""
    known = context.provider.lookups
    used: set[str] = set()
    for path, spec in mapped_fields(context):
        name = spec.lookup
        if not isinstance(name, str):
            continue
        used.add(str(name))
        if name not in known:
            place = name.start if isinstance(name, Scalar) else context.document.place_of((*path, "lookup"))
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "add it under lookups"
            yield Problem(place, "unknown_lookup", f"there is no lookup {str(name)!r}", hint)
    for name in known.keys() - used:
        place = context.document.place_of(("lookups", name), key=True)
        yield Problem(place, "unused_lookup", f"nothing uses the lookup {name!r}", "remove it, or name it in a field", "warning")
