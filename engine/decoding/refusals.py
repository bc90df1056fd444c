"""How a decoder refuses: a Failure of class validation that concerns the whole delivery."""

from __future__ import annotations

from typing import Any

from engine.failures import Failure, Refusal

SHOWN = 80
"""The most characters of a payload that a sentence quotes."""


def refusal(code: str, message: str, next_step: str, *, path: str = "", **facts: Any) -> Refusal:
    """What to raise. `path` is the payload path of the guilty value, `facts` are JSON values."""
    return Refusal(Failure("validation", code, message, next_step, path=path, facts=facts))


def shown(text: str) -> str:
    """A piece of the payload as a sentence may quote it: short, on one line."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


VALUES_LIMIT = 1_000_000
"""The most values of a body where the feed says nothing: each takes many times its bytes once it is read."""


def too_many_values(what: str, limit: int) -> Refusal:
    return refusal(
        "body_too_many_values",
        f"The {what} holds more than {limit} values.",
        "Send the message in smaller parts, or raise limits.values.",
        limit=limit,
    )
