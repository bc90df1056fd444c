"""Every answered request beside what stands on the topic."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.chaos.load import ITEMS, PER_CALLER, Message


class Found(NamedTuple):
    """What is wrong; all of it must be 0."""

    lost: int
    conflicting: int
    out_of_order: int

    @property
    def well(self) -> bool:
        return not any(self)


def reconcile(acknowledged: Iterable[Message], events: Iterable[Mapping[str, Any]]) -> Found:
    """`events` are the topic's CloudEvents in order.

    lost            messages that were answered 2xx and have not every command there
    conflicting     ids that stand there with two contents
    out_of_order    commands that came after a later one of the same item, where the sender waited for each one's work
    """
    content: dict[str, str] = {}
    conflicting: set[str] = set()
    seen: dict[str, list[int]] = defaultdict(list)
    for event in events:
        told = json.dumps([event["type"], event["subject"], event["data"]], sort_keys=True)
        if content.setdefault(event["id"], told) != told:
            conflicting.add(event["id"])
            continue
        seen[event["data"]["item_id"]].append(int(event["data"]["quantity"]["amount"]))
    items = Counter(quantity for quantities in seen.values() for quantity in set(quantities))
    lost = sum(items[message.quantity] < ITEMS for message in acknowledged)
    ordered = [quantities for quantities in seen.values() if Message(*divmod(quantities[0], PER_CALLER)).ordered]
    return Found(lost, len(conflicting), sum(map(_disorder, ordered)))


def _disorder(quantities: list[int]) -> int:
    """How many first mentions come after a later one's.

    A command may stand twice under its own id: a relay that was killed before it marked publishes again.
    """
    first: set[int] = set()
    highest, wrong = -1, 0
    for quantity in quantities:
        if quantity not in first:
            first.add(quantity)
            wrong += quantity < highest
            highest = max(highest, quantity)
    return wrong
