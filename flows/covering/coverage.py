"""The coverage of a provider file by its golden cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.decoding import decode
from engine.failures import Refusal
from engine.interpreter import Interpreter
from engine.yaml12 import Document
from flows.covering.payloads import unread, unset
from flows.covering.points import Point, Reachable, reachable
from flows.covering.reaching import reached
from flows.golden import Case
from flows.pins import sendings
from flows.trial import Trial, try_request


@dataclass(frozen=True)
class Coverage:
    """`unread` and `unset` are by feed; `fields` counts the payload's paths of a feed."""

    provider: str
    cases: int
    points: tuple[Reachable, ...]
    missed: tuple[Reachable, ...]
    unread: dict[str, list[str]]
    fields: dict[str, int]
    unset: dict[str, dict[str, list[str]]]

    @property
    def percent(self) -> float:
        """Of the file's points, those that a case reaches."""
        return 100.0 * (1 - len(self.missed) / len(self.points)) if self.points else 100.0

    @property
    def read_percent(self) -> float:
        """Of the payloads' fields, those that something reads or `ignore` names."""
        total = sum(self.fields.values())
        return 100.0 * (1 - sum(map(len, self.unread.values())) / total) if total else 100.0

    def to_json(self) -> dict[str, Any]:
        missed = [{"kind": one.kind, "says": one.says, "place": one.place} for one in self.missed]
        return {
            "provider": self.provider,
            "cases": self.cases,
            "points": len(self.points),
            "reached": len(self.points) - len(self.missed),
            "percent": round(self.percent, 1),
            "missed": missed,
            "fields": sum(self.fields.values()),
            "fields_percent": round(self.read_percent, 1),
            "unread": self.unread,
            "unset": self.unset,
        }


def coverage(
    interpreter: Interpreter, document: Document, cases: Iterable[Case], unsigned: Iterable[Case] = ()
) -> Coverage:
    """Runs every case, and says what none of them reaches. `unsigned` are run without looking at their signature."""
    provider = interpreter.provider
    passed: set[Point] = set()
    documents: dict[str, list[Any]] = {feed: [] for feed in interpreter.feeds}
    count = 0
    signed = [(case, sendings(interpreter, case)) for case in cases]
    for case, trials in (*signed, *((case, [_unverified(interpreter, case)]) for case in unsigned)):
        count += 1
        for trial in trials:
            branch = None
            if trial.reading is not None and case.feed in interpreter.feeds:
                branch = interpreter.feeds[case.feed].branch(trial.reading.event)
            passed |= reached(provider, branch, case.feed, trial)
        if case.feed in documents:
            try:
                documents[case.feed].append(decode(provider.feeds[case.feed], case.request))
            except Refusal:
                continue
    points = tuple(reachable(interpreter, document))
    missed = tuple(one for one in points if one.point not in passed)
    found = {feed: unread(interpreter, feed, given) for feed, given in documents.items()}
    return Coverage(
        provider.provider,
        count,
        points,
        missed,
        {feed: paths for feed, (paths, _) in found.items()},
        {feed: total for feed, (_, total) in found.items()},
        {feed: unset(interpreter, feed) for feed in interpreter.feeds},
    )


def _unverified(interpreter: Interpreter, case: Case) -> Trial:
    context = case.context
    request, connection = case.request, context.connection
    return try_request(interpreter, case.feed, request, connection, context.mappings, verify=False, create=True)
