"""Applies commands to entities. Pure: entities are handed in, changed ones come back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from engine.views.commands import Received, micros
from engine.views.entities import Entity, EntityKey, empty
from engine.views.stock import Level, on_hand_of, quantity_of, with_level, with_movement
from engine.views.writes import Write, writes_of

Result = Literal["applied", "unchanged", "stale", "unused"]
_WHOLE = re.compile(r"-?[0-9]{1,40}\Z")


class Change(NamedTuple):
    """What a command changed about one entity: `before` and `after` it."""

    before: Entity
    after: Entity


class Folded(NamedTuple):
    """What came of a command.

    `result`: applied; unchanged (it told what was known); stale (newer is known); unused (no view is made of it).
    `entities` are to be kept also where nothing changed that a reader sees.
    """

    result: Result
    entities: tuple[Entity, ...]
    changes: tuple[Change, ...]


def keys_of(command: Received) -> list[EntityKey]:
    """The entities that a command may change. Raises KeyError, StopIteration and TypeError on foreign data."""
    return [write.key for write in writes_of(command)]


def fold(command: Received, position: int, entities: Mapping[EntityKey, Entity]) -> Folded:
    """Applies a command at its position to what stands; `entities` has every entity of `keys_of` that exists."""
    writes = writes_of(command)
    if not writes:
        return Folded("unused", (), ())
    kept: dict[EntityKey, Entity] = {}
    changes: list[Change] = []
    written = 0
    for write in writes:
        before = kept.get(write.key) or entities.get(write.key) or _unknown(command, write.key)
        after = _written(before, write, command, position)
        if after is None:
            continue
        written += 1
        if _differs(before, after):
            after = after._replace(version=before.version + 1, changed_at=command.time)
            changes.append(Change(before, after))
        kept[write.key] = after
    result: Result = "applied" if changes else "unchanged" if written else "stale"
    return Folded(result, tuple(kept.values()), tuple(changes))


def _unknown(command: Received, key: EntityKey) -> Entity:
    return empty(key, command.data["merchant_id"], command.data.get("store_id") or "")


def _differs(before: Entity, after: Entity) -> bool:
    return before.fields != after.fields or before.seen != after.seen


def _written(before: Entity, write: Write, command: Received, position: int) -> Entity | None:
    """The entity after a write; None where everything it says is older than what stands."""
    sources = _newer_sources(before, command)
    if sources is None:
        return None
    fields, marks = dict(before.fields), dict(before.marks)
    wrote = False
    for name, value in write.fields.items():
        if marks.get(name, -1) <= position:
            fields[name], marks[name] = value, position
            wrote = True
    if write.stock is not None:
        stock = _stocked(fields.get("stock", {}), write, position)
        if stock is None:
            return None
        # The stock orders itself.
        fields["stock"], marks["stock"] = stock, 0
        _show_stock(fields, marks)
        wrote = True
    if write.key.view == "availability":
        _show_available(fields, marks, command.time)
    if not wrote:
        return None
    return before._replace(fields=fields, marks=marks, sources=sources, seen=before.seen or write.seen)


def _stocked(stock: Mapping[str, Any], write: Write, position: int) -> Mapping[str, Any] | None:
    told = write.stock
    assert told is not None
    return with_level(stock, told, position) if isinstance(told, Level) else with_movement(stock, told, position)


def _show_stock(fields: dict[str, Any], marks: dict[str, int]) -> None:
    for name, value in (("quantity", quantity_of(fields["stock"])), ("on_hand", on_hand_of(fields["stock"]))):
        if value is not None or name in fields:
            fields[name], marks[name] = value, 0


def _show_available(fields: dict[str, Any], marks: dict[str, int], time: str) -> None:
    """Whether it can be sold, and since when: as told; where nobody told, by its quantity."""
    said = (fields.get("available") or {}).get("available")
    if said is None and fields.get("quantity") is not None:
        said = not fields["quantity"]["amount"].startswith("-") and fields["quantity"]["amount"] != "0"
    if said != fields.get("sellable"):
        fields["sellable"], marks["sellable"] = said, 0
        fields["since"], marks["since"] = time, 0


def _newer_sources(entity: Entity, command: Received) -> Mapping[str, tuple[str, str]] | None:
    """The newest version by source, this command's included; None where the source itself says it is older."""
    time, version = command.data.get("source_time") or "", command.data.get("source_version") or ""
    # Movements add up in any order.
    if not (time or version) or command.name == "RecordStockMovement":
        return entity.sources
    source = f"{command.provider}/{command.name}"
    known = entity.sources.get(source)
    if known is not None and _older((time, version), known):
        return None
    return {**entity.sources, source: (time, version)}


def _older(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Compares whole-number versions, else times; what cannot be compared is not older."""
    if _WHOLE.match(one[1]) and _WHOLE.match(other[1]):
        return int(one[1]) < int(other[1])
    times = micros(one[0]), micros(other[0])
    return times[0] is not None and times[1] is not None and times[0] < times[1]
