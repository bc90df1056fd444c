"""What a backtest found, added up over processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flows.differences import ALARMING, Difference, Kind, sentences

Meaning = tuple[Kind, str]


@dataclass(frozen=True)
class Example:
    """One delivery that shows a difference. `payload` is the body as stored: what is secret is not in it."""

    delivery: str
    difference: Difference
    payload: str

    def to_json(self) -> dict[str, Any]:
        return {"delivery": self.delivery, **self.difference.to_json(), "payload": self.payload}


@dataclass
class Report:
    """`lost` counts deliveries whose payload or connection is gone, by reason; `examples` are by meaning."""

    most: int = 3
    deliveries: int = 0
    commands: int = 0
    differing: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    meanings: Counter[Meaning] = field(default_factory=Counter)
    examples: dict[Meaning, list[Example]] = field(default_factory=dict)

    def add(self, delivery: str, found: list[Difference], payload: str) -> None:
        """One delivery that differs."""
        self.differing += 1
        for one in found:
            meaning: Meaning = (one.kind, one.what)
            self.meanings[meaning] += 1
            kept = self.examples.setdefault(meaning, [])
            if len(kept) < self.most and (not kept or kept[-1].delivery != delivery):
                kept.append(Example(delivery, one, payload))

    def merge(self, other: Report) -> None:
        """Takes in what another process found."""
        self.deliveries += other.deliveries
        self.commands += other.commands
        self.differing += other.differing
        self.lost += other.lost
        self.meanings += other.meanings
        for meaning, found in other.examples.items():
            kept = self.examples.setdefault(meaning, [])
            kept += found[: self.most - len(kept)]

    @property
    def alarms(self) -> int:
        """How often a key, a canonical id or a failure's class changed."""
        return sum(count for (kind, _), count in self.meanings.items() if kind in ALARMING)

    def says(self) -> list[str]:
        return sentences(_repeated(self.meanings))

    def to_json(self) -> dict[str, Any]:
        return {
            "deliveries": self.deliveries,
            "commands": self.commands,
            "differing": self.differing,
            "alarms": self.alarms,
            "lost": dict(self.lost),
            "says": self.says(),
            "examples": [one.to_json() for found in self.examples.values() for one in found],
        }


def _repeated(meanings: Counter[Meaning]) -> Iterable[Difference]:
    return (Difference(kind, what) for (kind, what), count in meanings.items() for _ in range(count))
