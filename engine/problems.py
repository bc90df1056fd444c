"""What the checker says about a provider file: all problems at once, each with place and advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.places import Place

Severity = Literal["error", "warning", "notice"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a provider file.

    `code` is stable and lower_snake_case; `message` says what is wrong; `hint` says what to write.
    Only the severity `error` keeps a file from loading.
    """

    place: Place
    code: str
    message: str
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        advice = f" ({self.hint})" if self.hint else ""
        return f"{self.place}: {self.severity}: {self.message}{advice} [{self.code}]"


class ProviderFileError(Exception):
    """A provider file that does not load. `problems` holds every problem found, in order of place."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems
