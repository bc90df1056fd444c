"""Lookups that are not there, and lookups that nothing uses."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from engine.checker.field_specs import mapped_fields
from engine.checker.sites import Context
from engine.problems import Problem


def lookups(context: Context) -> Iterator[Problem]:
    """`unknown_lookup` with the nearest name; `unused_lookup` as a warning."""
    known = context.provider.lookups
    used: set[str] = set()
    for path, spec in mapped_fields(context):
        if not isinstance(spec.lookup, str):
            continue
        near = difflib.get_close_matches(spec.lookup, known, 1)
        used |= {spec.lookup, *near}
        if (
            spec.lookup not in known
            and not context.touched(("lookups", spec.lookup))
            and not context.touched(("lookups",))
        ):
            hint = f"did you mean {near[0]}?" if near else f"add {spec.lookup}: under lookups"
            place = context.place((*path, "lookup"))
            yield Problem(place, "unknown_lookup", f"there is no lookup {str(spec.lookup)!r}", hint)
    if context.holes or context.document.problems:
        return
    for name in known.keys() - used:
        place = context.place(("lookups", name), key=True)
        yield Problem(
            place,
            "unused_lookup",
            f"nothing uses the lookup {str(name)!r}",
            "remove it, or name it in a field",
            "warning",
        )
