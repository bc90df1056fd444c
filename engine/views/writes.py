"""What each canonical command says about which entities: a table from the command's name to a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from engine.views.commands import Received, micros
from engine.views.entities import EntityKey, View
from engine.views.stock import Level, Movement

Data = Mapping[str, Any]

_NOT_FIELDS = frozenset({"merchant_id", "store_id", "source_time", "source_version", "available"})
_OF_STATUS = ("status", "from_at", "until", "prep_delay_minutes", "reason")
_OF_AVAILABILITY = ("available", "from_at", "until", "resume", "reason")
_SELLABLE = (("variant_id", "variant"), ("item_id", "item"), ("addon_id", "addon"))
_RETIRABLE = (
    ("variant_id", "variant"), ("item_id", "item"), ("category_id", "category"),
    ("addon_group_id", "addon_group"), ("addon_id", "addon"), ("store_id", "store"),
)  # fmt: skip


class Write(NamedTuple):
    """Fields of one entity. `seen`: an upsert tells them. `stock` is what it says about the quantity."""

    key: EntityKey
    fields: Data
    seen: bool = False
    stock: Level | Movement | None = None


def writes_of(command: Received) -> list[Write]:
    """Everything that a command writes; [] for one that no view is made of."""
    made = _WRITES.get(command.name)
    return list(made(command)) if made else []


def _key(command: Received, view: View, kind: str, id: str) -> EntityKey:
    owner = command.data.get("store_id") or command.data["merchant_id"]
    return EntityKey(view, command.tenant, owner, kind, id)


def _told(data: Data, *without: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in _NOT_FIELDS and name not in without}


def _sold(data: Data) -> tuple[str, str]:
    """(kind, id) of what is sold, best first."""
    return next((kind, data[name]) for name, kind in _SELLABLE if data.get(name))


def _upsert(kind: str) -> Callable[[Received], Iterator[Write]]:
    def writes(command: Received) -> Iterator[Write]:
        data, id = command.data, command.data[f"{kind}_id"]
        fields = {**_told(data, f"{kind}_id"), "retired": False}
        yield Write(_key(command, "catalogue", kind, id), fields, seen=True)
        if "available" in data:
            yield Write(_key(command, "availability", kind, id), {"available": {"available": data["available"]}})

    return writes


def _addon_group(command: Received) -> Iterator[Write]:
    data, addons = command.data, command.data.get("addons")
    fields = {**_told(data, "addon_group_id", "addons"), "retired": False}
    if "addons" in data:
        fields["addon_ids"] = None if addons is None else [addon["addon_id"] for addon in addons]
    yield Write(_key(command, "catalogue", "addon_group", data["addon_group_id"]), fields, seen=True)
    for addon in addons or ():
        told = {**_told(addon, "addon_id"), "retired": False}
        yield Write(_key(command, "catalogue", "addon", addon["addon_id"]), told, seen=True)
        if "available" in addon:
            available = {"available": {"available": addon["available"]}}
            yield Write(_key(command, "availability", "addon", addon["addon_id"]), available)


def _price(command: Received) -> Iterator[Write]:
    data = command.data
    fields = {name: data[name] for name in ("price", "list_price") if name in data}
    if data.get("channel"):
        fields = {f"{name}@{data['channel']}": value for name, value in fields.items()}
    yield Write(_key(command, "catalogue", *_sold(data)), fields)


def _availability(command: Received) -> Iterator[Write]:
    # One statement is whole: what an earlier one said about its end does not outlive it.
    data = command.data
    said = {name: data[name] for name in _OF_AVAILABILITY if data.get(name) is not None}
    name = f"available@{data['channel']}" if data.get("channel") else "available"
    yield Write(_key(command, "availability", *_sold(data)), {name: said})


def _store_status(command: Received) -> Iterator[Write]:
    data = command.data
    parts = [data[name] for name in ("switch", "channel") if data.get(name)]
    said = {name: data[name] for name in _OF_STATUS if data.get(name) is not None}
    fields = {"@".join(("status", *parts)): said}
    yield Write(_key(command, "catalogue", "store", data["store_id"]), fields)


def _level(command: Received) -> Iterator[Write]:
    data = command.data
    level = Level(
        data["quantity"], data.get("on_hand"), data.get("condition") or "", data.get("batch") or "",
        micros(data.get("source_time")),
    )  # fmt: skip
    yield Write(_key(command, "availability", *_sold(data)), {}, stock=level)


def _movement(command: Received) -> Iterator[Write]:
    data = command.data
    at = micros(data.get("occurred_at")) or micros(data.get("source_time"))
    movement = Movement(command.commandkey, data["quantity"], data.get("balance_after"), data.get("batch") or "", at)
    yield Write(_key(command, "availability", *_sold(data)), {}, stock=movement)


def _order(command: Received) -> Iterator[Write]:
    fields = _told(command.data, "order_id")
    yield Write(_key(command, "catalogue", "order", command.data["order_id"]), fields, seen=True)


def _retire(command: Received) -> Iterator[Write]:
    data = command.data
    kind, id = next((kind, data[name]) for name, kind in _RETIRABLE if data.get(name))
    yield Write(_key(command, "catalogue", kind, id), {"retired": True})


_WRITES: Mapping[str, Callable[[Received], Iterator[Write]]] = {
    "UpsertStore": _upsert("store"),
    "UpsertMenuItem": _upsert("item"),
    "UpsertCatalogItem": _upsert("item"),
    "UpsertVariant": _upsert("variant"),
    "UpsertCategory": _upsert("category"),
    "UpsertAddonGroup": _addon_group,
    "UpdatePrice": _price,
    "UpdateStockLevel": _level,
    "RecordStockMovement": _movement,
    "UpdateItemAvailability": _availability,
    "UpdateStoreStatus": _store_status,
    "UpdateOrderStatus": _order,
    "Retire": _retire,
}
