"""What a reader of the file should know."""

from __future__ import annotations

from collections.abc import Iterator

from engine.checker.sites import Context
from engine.problems import Problem


def notices(context: Context) -> Iterator[Problem]:
    """`assumed`: nothing public confirms the file."""
    if context.provider.evidence == "assumed":
        message, hint = (
            "nothing public confirms this file",
            "confirm it with the provider before it goes live",
        )
        yield Problem(context.place(("evidence",)), "assumed", message, hint, "notice")
