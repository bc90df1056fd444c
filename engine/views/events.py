"""What changed, as CloudEvents 1.0 for downstream: names, topics and payloads.

An event's id is made of the command's and the entity's, so the same change never has two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from engine.views.commands import Received
from engine.views.entities import Entity
from engine.views.fold import Change

CATALOG: Final = "catalog.events"
PRICING: Final = "pricing.events"
INVENTORY: Final = "inventory.events"
STORE_STATUS: Final = "store-status.events"

_CHANGED = {
    "store": "StoreChanged", "item": "ItemChanged", "variant": "VariantChanged", "category": "CategoryChanged",
    "addon_group": "AddonGroupChanged", "addon": "AddonChanged",
}  # fmt: skip


class Event(NamedTuple):
    """One event ready for the bus: `value` is its CloudEvent in structured mode."""

    topic: str
    kafka_key: str
    id: str
    value: bytes


def events_of(command: Received, changes: tuple[Change, ...]) -> list[Event]:
    """The events of what a command changed, in order."""
    return [
        _event(command, change.after, topic, name, data) for change in changes for topic, name, data in _told(change)
    ]


def _told(change: Change) -> Iterator[tuple[str, str, dict[str, Any]]]:
    before, after = change
    if after.key.view == "availability":
        yield from _inventory(before.fields, after.fields)
        return
    changed = [name for name, value in after.fields.items() if before.fields.get(name) != value]
    yield from _prices(before.fields, after.fields, changed)
    yield from _statuses(before.fields, after.fields, changed)
    if after.key.kind == "order":
        yield STORE_STATUS, "OrderStatusChanged", {"old": before.fields.get("status"), "order": after.shown()}
        return
    if after.retired and not before.retired:
        yield CATALOG, "Retired", {}
        return
    own = sorted(name for name in changed if not _is_apart(name) and not (name == "retired" and not before.retired))
    if after.seen and (own or not before.seen):
        created = not before.seen
        yield CATALOG, _CHANGED[after.key.kind], {"created": created, "changed": own, "state": after.shown()}


def _is_apart(name: str) -> bool:
    """Fields with events of their own."""
    return name.partition("@")[0] in ("price", "list_price", "status")


def _prices(
    before: Mapping[str, Any], after: Mapping[str, Any], changed: list[str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    channels = dict.fromkeys(
        name.partition("@")[2] for name in changed if name.partition("@")[0] in ("price", "list_price")
    )
    for channel in channels:
        old, new = _price(before, channel), _price(after, channel)
        if old != new:
            yield PRICING, "PriceChanged", {**({"channel": channel} if channel else {}), "old": old, "new": new}


def _price(fields: Mapping[str, Any], channel: str) -> dict[str, Any] | None:
    names = {name: f"{name}@{channel}" if channel else name for name in ("price", "list_price")}
    found = {name: fields[key] for name, key in names.items() if fields.get(key) is not None}
    return found or None


def _statuses(
    before: Mapping[str, Any], after: Mapping[str, Any], changed: list[str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name in changed:
        if name.partition("@")[0] == "status" and isinstance(after[name], dict):
            holds_for = name.partition("@")[2]
            shown = {"holds_for": holds_for} if holds_for else {}
            yield STORE_STATUS, "StoreStatusChanged", {**shown, "old": before.get(name), "new": after[name]}


def _inventory(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if before.get("quantity") != after.get("quantity"):
        yield INVENTORY, "StockLevelChanged", {"old": before.get("quantity"), "new": after.get("quantity")}
    for name in after:
        if name.startswith("available@") and before.get(name) != after[name]:
            channel = name.partition("@")[2]
            yield INVENTORY, "AvailabilityChanged", {"channel": channel, "old": before.get(name), "new": after[name]}
    old, new = _available(before), _available(after)
    if old != new:
        yield INVENTORY, "AvailabilityChanged", {"old": old, "new": new}


def _available(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """Whether it can be sold, with what was told about until when and why."""
    if fields.get("sellable") is None:
        return None
    said = fields.get("available") or {}
    return {**{k: v for k, v in said.items() if v is not None}, "available": fields["sellable"]}


def _event(command: Received, entity: Entity, topic: str, name: str, data: dict[str, Any]) -> Event:
    key = entity.key
    same = f"{command.id}/{name}/{data.get('channel') or data.get('holds_for') or ''}/{'/'.join(key[1:])}"
    id = hashlib.sha256(same.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    owner: dict[str, Any] = {"merchant_id": entity.merchant_id}
    if entity.store_id:
        owner["store_id"] = entity.store_id
    value = {
        "specversion": "1.0",
        "id": id,
        "source": f"/tenants/{command.tenant}/views/{key.view}",
        "type": f"tiffin.{name}.v1",
        "subject": key.id,
        "time": command.time,
        "datacontenttype": "application/json",
        "dataschema": f"https://tiffin.dev/schemas/events/{name}.v1.schema.json",
        "partitionkey": command.kafka_key,
        "tenant": command.tenant,
        "deliveryid": command.delivery,
        "causedby": command.id,
        "data": {**owner, "kind": key.kind, "id": key.id, **data},
    }
    return Event(topic, command.kafka_key, id, orjson.dumps(value))
