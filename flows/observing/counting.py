"""What a shadow has found so far, as it is kept: counts in the open, examples sealed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from flows.backtesting.report import Example, Meaning, Report
from flows.differences import ALARMING, Difference

MOST_MEANINGS = 200
"""So many meanings are counted apart; what comes beyond counts as differing alone."""
MOST_SHOWN = 60
"""So many meanings have examples."""
EXAMPLES = 3
_LONGEST = 500


@dataclass(frozen=True)
class Tally:
    """A report, and how many deliveries were left out to keep within the rate."""

    report: Report
    left_out: int = 0

    @property
    def kinds(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for (kind, _), count in self.report.meanings.items():
            found[kind] += count
        return found

    @property
    def alarms(self) -> dict[str, int]:
        """How often what must not change in silence changed, by its kind."""
        return {kind: count for kind, count in sorted(self.kinds.items()) if kind in ALARMING}

    def counts(self) -> dict[str, Any]:
        """What is kept in the open: nothing of a payload."""
        report = self.report
        return {
            "deliveries": report.deliveries,
            "commands": report.commands,
            "differing": report.differing,
            "left_out": self.left_out,
            "lost": dict(report.lost),
            "meanings": [[kind, what, count] for (kind, what), count in report.meanings.most_common(MOST_MEANINGS)],
        }

    def examples(self) -> bytes:
        """JSON, to be sealed."""
        kept = [report for report, _ in self.report.meanings.most_common(MOST_SHOWN)]
        return orjson.dumps([_kept(one) for meaning in kept for one in self.report.examples.get(meaning, ())])

    def to_json(self) -> dict[str, Any]:
        return {**self.report.to_json(), "left_out": self.left_out, "alarming": self.alarms}


def tally_of(counts: Mapping[str, Any], examples: bytes) -> Tally:
    """What was kept. `counts` {} and `examples` b"" are those of a shadow that begins."""
    report = Report(
        EXAMPLES, counts.get("deliveries", 0), counts.get("commands", 0), counts.get("differing", 0),
        Counter(counts.get("lost", {})), Counter({(kind, what): n for kind, what, n in counts.get("meanings", ())}),
    )  # fmt: skip
    for one in orjson.loads(examples or b"[]"):
        difference = Difference(*(one[name] for name in ("kind", "what", "entity", "before", "after")))
        meaning: Meaning = (difference.kind, difference.what)
        report.examples.setdefault(meaning, []).append(Example(one["delivery"], difference, one["payload"]))
    return Tally(report, counts.get("left_out", 0))


def _kept(example: Example) -> dict[str, Any]:
    told = example.to_json()
    return {**told, "before": _short(told["before"]), "after": _short(told["after"])}


def _short(value: Any) -> Any:
    text = orjson.dumps(value).decode()
    return value if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
