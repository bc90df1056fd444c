"""What readers see of the views: a store's availability, its menu, an item. JSON values only.

`views` is where they are read: in SQL, or in their copy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from engine.views import Entity
from stores.view_sources import Views

PAGE = 500
_KINDS = ("addon", "item", "variant")


class UnknownId(Exception):
    """No view knows this id."""


class TenantNeeded(Exception):
    """Several tenants have a store of this id. `tenants` says which."""

    def __init__(self, tenants: list[str]) -> None:
        super().__init__(", ".join(tenants))
        self.tenants = tenants


def availability(
    views: Views, store: str, tenant: str = "", after: tuple[str, str] = ("", ""), limit: int = PAGE
) -> dict[str, Any]:
    """What can be sold in a store, by kind and id; `next` is what the next page comes after, null on the last.

    `store` may be a merchant's id, for what holds in all its stores. Raises UnknownId and TenantNeeded.
    """
    tenant = _tenant(views, store, tenant)
    found = views.of_owner("availability", tenant, store, after=after, limit=limit + 1)
    page = found[:limit]
    named = _names(views, tenant, store, page)
    return {
        "tenant": tenant,
        "store_id": store,
        "items": [{**_availability(entity), **named.get((entity.key.kind, entity.key.id), {})} for entity in page],
        "next": ":".join(page[-1].key[3:]) if len(found) > limit else None,
    }


def menu(views: Views, store: str, tenant: str = "", after: str = "", limit: int = PAGE) -> dict[str, Any]:
    """A store with its categories, items (with variants) and addon groups (with addons).

    What is retired or was never told of by an upsert is left out. Pages go by items; categories and addon
    groups come with the first. Raises UnknownId and TenantNeeded.
    """
    tenant = _tenant(views, store, tenant)
    start = ("item", after) if after else ("", "")
    found = views.of_owner("catalogue", tenant, store, ["item"], after=start, limit=limit + 1)
    page = found[:limit]
    sizes = _shown(views.variants_of(tenant, store, [item.key.id for item in page]))
    sold = _sold(views, [*page, *sizes])
    variants = defaultdict(list)
    for variant in sizes:
        variants[variant.fields["item_id"]].append(described(variant, sold))
    head: dict[str, Any] = {"tenant": tenant, "store_id": store}
    if not after:
        head.update(_head(views, tenant, store))
    items = [{**described(item, sold), "variants": variants.get(item.key.id, [])} for item in _shown(page)]
    return {**head, "items": items, "next": page[-1].key.id if len(found) > limit else None}


def item(views: Views, id: str, tenant: str = "") -> dict[str, Any]:
    """An item, variant or addon, wherever it is sold, also what was retired. Raises UnknownId."""
    found = views.by_id(id, _KINDS, tenant)
    if not found:
        raise UnknownId(id)
    sold = {(e.key.tenant, e.key.owner, e.key.kind): e for e in found if e.key.view == "availability"}
    told = {(e.key.tenant, e.key.owner, e.key.kind): e for e in found if e.key.view == "catalogue"}
    places = []
    for place in sorted({*sold, *told}):
        catalogue, available = told.get(place), sold.get(place)
        one = catalogue or available
        assert one is not None
        places.append(
            {
                "tenant": one.key.tenant,
                "merchant_id": one.merchant_id,
                **({"store_id": one.store_id} if one.store_id else {}),
                "kind": one.key.kind,
                "known": bool(catalogue and catalogue.seen),
                "retired": bool(catalogue and catalogue.retired),
                **({"changed_at": catalogue.changed_at, **catalogue.shown()} if catalogue else {}),
                **({"availability": _availability(available)} if available else {}),
            }
        )
    return {"id": id, "places": places}


def store_status(views: Views, tenant: str, store: str) -> dict[str, Any] | None:
    """A store with its merchant and its status, as far as known; None where no view knows it."""
    found = views.of_owner("catalogue", tenant, store, ["store"])
    return next(({"merchant_id": e.merchant_id, **_store(e)} for e in found if e.key.id == store), None)


def _tenant(views: Views, owner: str, tenant: str) -> str:
    tenants = views.tenants_of(owner)
    if not tenants or (tenant and tenant not in tenants):
        raise UnknownId(owner)
    if not tenant and len(tenants) > 1:
        raise TenantNeeded(tenants)
    return tenant or tenants[0]


def _sold(views: Views, told: Iterable[Entity]) -> dict[tuple[str, str], Entity]:
    """What is known of the availability of these, by (kind, id)."""
    found = views.load([entity.key._replace(view="availability") for entity in told])
    return {(key.kind, key.id): entity for key, entity in found.items()}


def _head(views: Views, tenant: str, store: str) -> dict[str, Any]:
    rest = views.of_owner("catalogue", tenant, store, ["store", "category", "addon_group", "addon"])
    by_kind: dict[str, list[Entity]] = defaultdict(list)
    for entity in rest:
        by_kind[entity.key.kind].append(entity)
    sold = _sold(views, by_kind["addon"])
    addons = {addon.key.id: described(addon, sold) for addon in _shown(by_kind["addon"])}
    return {
        "store": next((_store(entity) for entity in by_kind["store"]), None),
        "categories": [described(entity, {}) for entity in _shown(by_kind["category"])],
        "addon_groups": [_group(entity, addons) for entity in _shown(by_kind["addon_group"])],
    }


def _shown(entities: Iterable[Entity]) -> list[Entity]:
    """What has been told of and is not retired, by rank as the source ranks, then by id."""
    there = [entity for entity in entities if entity.seen and not entity.retired]
    return sorted(there, key=lambda entity: (_rank(entity), entity.key.id))


def _rank(entity: Entity) -> int:
    rank = entity.fields.get("rank")
    return rank if isinstance(rank, int) else 1 << 31


def described(entity: Entity, sold: Mapping[Any, Entity]) -> dict[str, Any]:
    """An entity of the catalogue with its availability, where `sold` has it by (kind, id)."""
    found = {f"{entity.key.kind}_id": entity.key.id, **entity.shown(), "changed_at": entity.changed_at}
    available = sold.get((entity.key.kind, entity.key.id))
    return {**found, "availability": _availability(available)} if available else found


def _group(entity: Entity, addons: Mapping[str, Any]) -> dict[str, Any]:
    found = described(entity, {})
    ids = found.pop("addon_ids", [])
    return {**found, "addons": [addons[id] for id in ids if id in addons]}


def _store(entity: Entity) -> dict[str, Any]:
    """`status` is that of the whole store; `statuses` has those of switches and channels."""
    told = entity.shown()
    own = {name: value for name, value in told.items() if not name.startswith("status")}
    apart = {name.partition("@")[2]: value for name, value in told.items() if name.startswith("status@")}
    status = told.get("status") or {}
    return {
        "store_id": entity.key.id,
        **own,
        "status": status.get("status"),
        **{name: value for name, value in status.items() if name != "status"},
        **({"statuses": apart} if apart else {}),
        "retired": entity.retired or status.get("status") == "retired",
        "changed_at": entity.changed_at,
    }


def _availability(entity: Entity) -> dict[str, Any]:
    """`quantity` null: not known. `available` null: nobody has said, and the quantity is not known either."""
    told = entity.shown()
    said = {name: value for name, value in (told.get("available") or {}).items() if name != "available"}
    channels = {name.partition("@")[2]: value for name, value in told.items() if name.startswith("available@")}
    return {
        "kind": entity.key.kind,
        "id": entity.key.id,
        "quantity": told.get("quantity"),
        **({"on_hand": told["on_hand"]} if "on_hand" in told else {}),
        "available": told.get("sellable"),
        "since": told.get("since"),
        **{name: value for name, value in said.items() if value is not None},
        **({"channels": channels} if channels else {}),
    }


def _names(views: Views, tenant: str, store: str, page: list[Entity]) -> dict[tuple[str, str], dict[str, Any]]:
    keys = [entity.key._replace(view="catalogue") for entity in page]
    found = views.load(keys)
    return {
        (key.kind, key.id): {name: entity.fields[name] for name in ("name", "sku") if entity.fields.get(name)}
        for key, entity in found.items()
    }
