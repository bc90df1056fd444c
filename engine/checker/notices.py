"""What a reader of the file should know, though nothing is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context
from engine.problems import Problem


def notices(context: Context) -> Iterator[Problem]:
    """`assumed`: nothing public confirms the file; `unknown_event_ignored` is left to `otherwise`."""
    if context.provider.evidence == "assumed":
        place = context.document.place_of(("evidence",))
        yield Problem(
            place, "assumed", "nothing public confirms this file", "confirm it with the provider before it goes live", "notice"
        )
