"""A shadow's part in the process that works for it: the live and the new revision over a batch of deliveries."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from engine.decoding import decode
from engine.failures import Refusal
from engine.interpreter import Interpreter
from flows.backtesting.comparing import Begun
from flows.backtesting.report import Report
from flows.backtesting.running import Comparer, Task
from flows.differences import Difference
from flows.observing.counting import EXAMPLES
from flows.observing.masking import hidden_paths, masked, without
from flows.sealing import opened
from flows.settings import Settings
from stores.deliveries import StoredDelivery

_LONGEST = 2000


class Shadowing:
    """The comparers of the shadows that run, by what they compare."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, tuple[tuple[str, str], Comparer]] = {}

    def compare(self, provider: str, live: str, new: str, ids: list[str]) -> Report:
        """`live` and `new` are texts of provider files. Nothing is written."""
        held = self._made.get(provider)
        if held is None or held[0] != (live, new):
            if held is not None:
                held[1].close()
            held = (live, new), Comparer(Task(self._settings, live, new, EXAMPLES), shown)
            self._made[provider] = held
        return held[1].run(ids)


def shown(
    stored: StoredDelivery, old: Interpreter, begun: Begun, found: list[Difference]
) -> tuple[list[Difference], str]:
    """Differences and the decoded body, with a mask for what is sensitive."""
    paths = hidden_paths(old.provider)
    document = begun.reading.document if begun.reading is not None else None
    if document is None:
        document = _decoded(stored, old)
    if document is None and paths:
        # What cannot be read cannot be masked either.
        return [dataclasses.replace(one, before=None, after=None) for one in found], "(not shown)"
    kept, hidden = masked(document, paths)
    text = orjson.dumps(kept).decode() if document is not None else stored.body.decode("utf-8", "replace")
    return [
        dataclasses.replace(one, entity=without(one.entity, hidden), before=without(one.before, hidden),
                            after=without(one.after, hidden))
        for one in found
    ], text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"  # fmt: skip


def _decoded(stored: StoredDelivery, old: Interpreter) -> Any:
    """What the body says where the revision could not go as far; a sealed one is not looked into here."""
    feed = old.provider.feeds.get(stored.feed)
    if feed is None or stored.body_sealed:
        return None
    try:
        return decode(feed, opened(dataclasses.replace(stored, sealed=b""), lambda sealed: sealed))
    except Refusal:
        return None
