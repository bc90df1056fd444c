"""What is guessed of one feed: its rules with their fields, its scope, and what makes two messages the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Said:
    """A value that the file will hold: `text` is JSONata; `keys` stand beside `from`; `column` is the payload's path.

    `value` is a literal instead of an expression.
    """

    name: str
    text: str
    sure: float
    because: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    column: str = ""
    value: Any = None


@dataclass(frozen=True)
class Rule:
    """One command with the expression of its elements, None for the document itself."""

    name: str
    command: str
    each: str | None
    fields: tuple[Said, ...]
    version: Said | None = None
    sure: float = 1.0

    @property
    def named(self) -> set[str]:
        return {said.name for said in self.fields}

    def without(self, name: str) -> Rule:
        """The rule without a field, or without its version."""
        kept = tuple(said for said in self.fields if said.name != name)
        return Rule(self.name, self.command, self.each, kept, None if name == "version" else self.version, self.sure)


@dataclass(frozen=True)
class Sketch:
    """One feed."""

    name: str
    accept: str
    rules: tuple[Rule, ...]
    store: Said | None
    event_id: Said | None
    unread: tuple[str, ...] = ()
    path: str = ""
    method: str = "POST"


@dataclass(frozen=True)
class Guess:
    """One thing that the file says and no sample could: `where` in the file, what is written, from 0 to 1 how sure."""

    where: str
    written: str
    sure: float
    because: str

    @property
    def word(self) -> str:
        return "sure" if self.sure >= 0.85 else "likely" if self.sure >= 0.6 else "a guess"

    def to_json(self) -> dict[str, Any]:
        sure = {"sure": round(self.sure, 2), "word": self.word}
        return {"where": self.where, "written": self.written, **sure, "because": self.because}


class Uninferrable(Exception):
    """No provider file can be made of the samples; the message says why and what to do."""
