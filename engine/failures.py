"""Failures of deliveries.

    Failure
    ├── class auth         the request does not prove who sent it
    ├── class mapping      an external id has no canonical id
    ├── class validation   the payload says something that the canonical contract does not allow
    ├── class processing   Tiffin or what it depends on could not do the work
    └── class duplicate    the work was done before

Every failure has a class, a stable code, its place, a sentence and the next step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

FailureClass = Literal["auth", "mapping", "validation", "processing", "duplicate"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One reason why a delivery, or one element of it, was not turned into commands.

    `place` is `file:line:column` in the provider file, "" where no line of it is concerned; `path` is
    the payload path of the guilty value with indices (`items[3].price`), "" for the whole delivery;
    `element` is the index of the guilty element of the outermost `each`, None for the whole delivery.
    `facts` holds what a program needs to act (kind, within, external_id, value …), JSON values only.
    """

    cls: FailureClass
    code: str
    message: str
    next_step: str
    place: str = ""
    path: str = ""
    rule: str = ""
    element: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    warning: bool = False

    def to_json(self) -> dict[str, Any]:
        """The failure as schemas/failure.schema.json has it (without delivery and time)."""
        return {
            "class": self.cls,
            "code": self.code,
            "message": self.message,
            "next_step": self.next_step,
            "place": self.place,
            "path": self.path,
            "rule": self.rule,
            "element": self.element,
            "facts": self.facts,
            "warning": self.warning,
        }


def from_json(told: dict[str, Any]) -> Failure:
    """The failure that `to_json` made this of."""
    return Failure(cls=told["class"], **{name: value for name, value in told.items() if name != "class"})


class Refusal(Exception):
    """Ends a delivery as a whole: raised by a stage of the engine, turned into an outcome in one place."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Unauthorized(Refusal):
    """The request does not verify. Its failure has class auth and never holds a secret."""
