"""The receipt of a delivery: what its sender may know of it. It holds no payload and no secret."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from engine.failures import Failure

_SHOWN = ("class", "code", "message", "path", "element", "next_step", "warning")


def shown_failure(failure: Failure) -> dict[str, Any]:
    whole = failure.to_json()
    return {name: whole[name] for name in _SHOWN}


def receipt(
    public_url: str, delivery: str, verdict: str, commands: int, failures: Iterable[Failure], holder: str = ""
) -> dict[str, Any]:
    """`holder` is the delivery that did the work before, where this one is a duplicate."""
    found: dict[str, Any] = {
        "id": delivery,
        "verdict": verdict,
        "commands": commands,
        "failures": [shown_failure(failure) for failure in failures],
        "receipt": f"{public_url}/v1/deliveries/{delivery}",
    }
    if holder:
        found["duplicate_of"] = holder
    return found


def item_results(failures: Iterable[Failure]) -> bytes:
    """JSON of the elements that have something to say: [{element, ok, problems}], by element."""
    by_element: dict[int, list[Failure]] = {}
    for failure in failures:
        if failure.element is not None:
            by_element.setdefault(failure.element, []).append(failure)
    if not by_element:
        return b"[]"
    return orjson.dumps(
        [
            {
                "element": element,
                "ok": all(problem.warning for problem in problems),
                "problems": [shown_failure(problem) for problem in problems],
            }
            for element, problems in sorted(by_element.items())
        ]
    )
