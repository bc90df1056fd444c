"""One delivery through two provider files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.drafting import Draft
from engine.failures import Failure, Refusal
from engine.interpreter import Interpreter
from engine.messages import Connection, Outcome, Ref, Request
from engine.reading import Reading
from flows.differences import Difference, differences
from flows.pins import Pinned, command_pinned, placed


@dataclass(frozen=True, slots=True)
class Begun:
    """A delivery as far as it goes without the store: a draft to be finished, or what it came to already."""

    reading: Reading | None
    draft: Draft | None
    outcome: Outcome | None

    @property
    def refs(self) -> frozenset[Ref]:
        return self.draft.refs if self.draft is not None else frozenset()


_NO_FEED = Failure("processing", "feed_missing", "The provider file has no such feed.", "Bring it back.")


def begin(interpreter: Interpreter, feed: str, request: Request, connection: Connection) -> Begun:
    """Read and drafted."""
    if feed not in interpreter.feeds:
        return Begun(None, None, Outcome("failed", failures=(_NO_FEED,)))
    reading: Reading | None = None
    try:
        reading = interpreter.read(feed, request, connection)
        if reading.settled is not None:
            return Begun(reading, None, reading.settled)
        return Begun(reading, interpreter.draft(reading), None)
    except Refusal as refusal:
        return Begun(reading, None, interpreter.refused(refusal.failure))


def end(interpreter: Interpreter, begun: Begun, resolved: Mapping[Ref, str], delivery: str) -> Outcome:
    """Finished with the mappings."""
    if begun.draft is None:
        assert begun.outcome is not None
        return begun.outcome
    known = {ref: resolved[ref] for ref in begun.draft.refs if ref in resolved}
    try:
        return interpreter.finish(begun.draft, known, delivery)
    except Refusal as refusal:
        return interpreter.refused(refusal.failure)


def same(old: Begun, new: Begun, before: Outcome, after: Outcome) -> bool:
    """Whether two outcomes say the same: a command's id covers its key and its data."""
    return (
        before.verdict == after.verdict
        and _key(old) == _key(new)
        and [c.id for c in before.commands] == [c.id for c in after.commands]
        and [c.version for c in before.commands] == [c.version for c in after.commands]
        and [(f.cls, f.code, f.path, f.rule) for f in before.failures]
        == [(f.cls, f.code, f.path, f.rule) for f in after.failures]
    )


def compared(old: Begun, new: Begun, before: Outcome, after: Outcome) -> list[Difference]:
    """What differs; [] where the two say the same."""
    return [] if same(old, new, before, after) else differences(_pinned(old, before), _pinned(new, after))


def _key(begun: Begun) -> str | None:
    return begun.reading.key.text if begun.reading is not None and begun.reading.key is not None else None


def _pinned(begun: Begun, outcome: Outcome) -> Pinned:
    told: dict[str, Any] = {
        "verdict": outcome.verdict,
        "idempotency_key": _key(begun),
        "commands": [command_pinned(command) for command in outcome.commands],
        "new_mappings": sorted([*mapping.ref, mapping.canonical_id] for mapping in outcome.mappings),
        "failures": [placed(failure.to_json()) for failure in outcome.failures],
        "reply": None,
    }
    return told
