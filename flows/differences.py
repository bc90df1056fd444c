"""Two results of one request, compared by meaning: which prices changed, which items are no longer told.

Results have the shape of `flows.pins.pinned`. Commands are paired by command key, then by what they are about, then
by what they say: a command whose ids alone differ is the same one with another canonical id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flows.pins import Pinned

Kind = Literal[
    "verdict", "idempotency_key", "command_lost", "command_new", "field", "canonical_id", "command_key",
    "failure_lost", "failure_new", "failure_class", "failure_told", "mapping", "reply", "handshake",
]  # fmt: skip

ALARMING: frozenset[Kind] = frozenset({"idempotency_key", "canonical_id", "command_key", "failure_class"})
"""What makes stored keys and ids mean something else."""


@dataclass(frozen=True)
class Difference:
    """One thing that differs. `what` names it for counting: a command, `Command.field`, a failure's code."""

    kind: Kind
    what: str
    entity: str = ""
    before: Any = None
    after: Any = None

    @property
    def alarming(self) -> bool:
        return self.kind in ALARMING

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "what": self.what,
            "entity": self.entity,
            "before": self.before,
            "after": self.after,
            "alarming": self.alarming,
        }


def differences(before: Pinned, after: Pinned) -> list[Difference]:
    """Everything that differs between two results of one sending."""
    found: list[Difference] = []
    if before["verdict"] != after["verdict"]:
        what = f"{before['verdict']} → {after['verdict']}"
        found.append(Difference("verdict", what, "", before["verdict"], after["verdict"]))
    if before["idempotency_key"] != after["idempotency_key"]:
        found.append(Difference("idempotency_key", "", "", before["idempotency_key"], after["idempotency_key"]))
    found += _commands(before["commands"], after["commands"])
    found += _failures(before["failures"], after["failures"])
    if not found and before.get("new_mappings") != after.get("new_mappings"):
        found.append(Difference("mapping", "", "", before.get("new_mappings"), after.get("new_mappings")))
    if before["reply"] != after["reply"]:
        found.append(Difference("reply", "", "", before["reply"], after["reply"]))
    shaken = [{name: told.get(name) for name in ("handshake", "shown")} for told in (before, after)]
    if shaken[0] != shaken[1]:
        found.append(Difference("handshake", "", "", *shaken))
    return found


Command = Mapping[str, Any]


def _commands(before: list[Command], after: list[Command]) -> Iterator[Difference]:
    pairs, lost, new = _paired(before, after)
    for old, now in pairs:
        yield from _changes(old, now)
    for kind, commands in (("command_lost", lost), ("command_new", new)):
        for one in commands:
            told = one["data"]
            yield Difference(
                "command_lost" if kind == "command_lost" else "command_new",
                one["name"],
                one["entity"],
                told if kind == "command_lost" else None,
                told if kind == "command_new" else None,
            )


def _paired(
    before: list[Command], after: list[Command]
) -> tuple[list[tuple[Command, Command]], list[Command], list[Command]]:
    pairs: list[tuple[Command, Command]] = []
    for identity in (_by_key, _by_entity, _by_content):
        waiting: dict[str, list[Command]] = {}
        for one in after:
            waiting.setdefault(identity(one), []).append(one)
        left = []
        for old in before:
            found = waiting.get(identity(old))
            if found:
                pairs.append((old, found.pop(0)))
            else:
                left.append(old)
        before = left
        there = {id(one) for found in waiting.values() for one in found}
        after = [one for one in after if id(one) in there]
    return pairs, before, after


def _by_key(command: Command) -> str:
    return f"{command['name']} {command['commandkey']}"


def _by_entity(command: Command) -> str:
    return f"{command['name']} {command['rule']} {command['entity']} {command['data'].get('store_id')}"


def _by_content(command: Command) -> str:
    told = {name: value for name, value in sorted(command["data"].items()) if not _is_id(name)}
    return f"{command['name']} {command['rule']} {told}"


def _is_id(name: str) -> bool:
    return name.endswith(("_id", "_ids"))


def _changes(old: Command, now: Command) -> Iterator[Difference]:
    entity = old["entity"]
    for name in dict.fromkeys((*old["data"], *now["data"])):
        before, after = old["data"].get(name, _ABSENT), now["data"].get(name, _ABSENT)
        if before != after:
            kind: Kind = "canonical_id" if _is_id(name) else "field"
            yield Difference(kind, f"{old['name']}.{name}", entity, _said(before), _said(after))
    for name in ("version", "rule"):
        if old.get(name) != now.get(name):
            yield Difference("field", f"{old['name']} {name}", entity, old.get(name), now.get(name))
    if old["commandkey"] != now["commandkey"]:
        yield Difference("command_key", old["name"], entity, old["commandkey"], now["commandkey"])


class _Absent:
    def __repr__(self) -> str:
        return "absent"


_ABSENT = _Absent()


def _said(value: Any) -> Any:
    return None if value is _ABSENT else value


def _failures(before: list[Mapping[str, Any]], after: list[Mapping[str, Any]]) -> Iterator[Difference]:
    old = Counter(_failure(one) for one in before)
    now = Counter(_failure(one) for one in after)
    lost, new = list((old - now).elements()), list((now - old).elements())
    for gone in list(lost):
        moved = next((one for one in new if one[2:] == gone[2:] and one[0] != gone[0]), None)
        if moved is not None:
            lost.remove(gone)
            new.remove(moved)
            yield Difference("failure_class", f"{gone[0]} → {moved[0]}", gone[2], gone[1], moved[1])
    yield from (Difference("failure_lost", f"{cls}/{code}", path, code) for cls, code, path, _ in lost)
    yield from (Difference("failure_new", f"{cls}/{code}", path, None, code) for cls, code, path, _ in new)
    if not lost and not new and before != after and old == now:
        yield Difference("failure_told", "", "", list(before), list(after))


def _failure(failure: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return failure["class"], failure["code"], failure["path"], failure["rule"]


_NOUNS = {
    "UpsertStore": "stores", "UpsertMenuItem": "items", "UpsertCatalogItem": "items", "UpsertVariant": "variants",
    "UpsertCategory": "categories", "UpsertAddonGroup": "addon groups", "UpdatePrice": "prices",
    "UpdateStockLevel": "stock levels", "RecordStockMovement": "stock movements",
    "UpdateItemAvailability": "availabilities", "UpdateStoreStatus": "store statuses",
    "UpdateOrderStatus": "order statuses", "Retire": "retirements", "RequestRefresh": "requests to refresh",
}  # fmt: skip
_FIELD_NOUNS = {"price": "prices", "list_price": "list prices", "quantity": "quantities", "available": "availabilities",
                "name": "names", "status": "statuses"}  # fmt: skip


def sentences(found: Iterable[Difference]) -> list[str]:
    """One sentence a meaning with its count, alarming ones first: `9 prices changed`."""
    counts = Counter((one.kind, one.what) for one in found)
    ordered = sorted(counts.items(), key=lambda item: (item[0][0] not in ALARMING, -item[1]))
    return [_sentence(kind, what, count) for (kind, what), count in ordered]


def _sentence(kind: Kind, what: str, count: int) -> str:
    name, _, field = what.partition(".")
    said = {
        "verdict": f"{_many(count, 'verdicts')} changed: {what}",
        "idempotency_key": f"{_many(count, 'idempotency keys')} changed",
        "command_lost": f"{_many(count, _NOUNS.get(what, what))} no longer emitted",
        "command_new": f"{_many(count, _NOUNS.get(what, what))} newly emitted",
        "field": f"{_many(count, _FIELD_NOUNS.get(field, what))} changed ({what})",
        "canonical_id": f"{_many(count, 'canonical ids')} changed ({name}.{field})",
        "command_key": f"{_many(count, 'command keys')} changed ({what})",
        "failure_lost": f"{_many(count, 'failures')} {what} no longer",
        "failure_new": f"{_many(count, 'failures')} {what} newly",
        "failure_class": f"{_many(count, 'failure classes')} changed: {what}",
        "failure_told": f"{_many(count, 'failures')} told in other words, or at another line",
        "mapping": f"{_many(count, 'new mappings')} changed",
        "reply": f"{_many(count, 'replies')} changed",
        "handshake": f"{_many(count, 'handshakes')} changed",
    }
    return said[kind]


def _many(count: int, noun: str) -> str:
    if count != 1:
        return f"{count} {noun}"
    if " to " in noun:
        return f"1 {noun.replace('requests', 'request')}"
    for ending, one in (("ies", "y"), ("sses", "ss"), ("uses", "us"), ("s", "")):
        if noun.endswith(ending):
            return f"1 {noun.removesuffix(ending)}{one}"
    return f"1 {noun}"
