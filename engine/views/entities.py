"""Entities as the views keep them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

View = Literal["catalogue", "availability"]


class EntityKey(NamedTuple):
    """Names an entity. `owner` is the canonical store id, or the merchant's for what holds in all its stores.

    `kind`: store, item, variant, category, addon_group, addon or order.
    """

    view: View
    tenant: str
    owner: str
    kind: str
    id: str


class Entity(NamedTuple):
    """One row of a view.

    `fields` holds what was told; null is what was cleared. `marks` has the position at which each field was
    written. `sources` has the newest (source_time, source_version) by "provider/Command". `seen` says that an
    upsert has told of it: before that, what other commands told is kept. `changed_at` is RFC 3339, "" never.
    """

    key: EntityKey
    merchant_id: str
    store_id: str
    fields: Mapping[str, Any]
    marks: Mapping[str, int]
    sources: Mapping[str, tuple[str, str]]
    seen: bool
    changed_at: str
    version: int

    def shown(self) -> dict[str, Any]:
        """The fields for readers: nothing that was cleared, no marks of the machinery."""
        return {
            name: value for name, value in self.fields.items() if value is not None and name not in ("stock", "retired")
        }

    @property
    def retired(self) -> bool:
        return self.fields.get("retired") is True


def empty(key: EntityKey, merchant_id: str, store_id: str) -> Entity:
    """An entity of which nothing is known yet."""
    return Entity(key, merchant_id, store_id, {}, {}, {}, False, "", 0)


def packed_marks(marks: Mapping[str, int]) -> dict[str, int]:
    """Marks with the most common position said once, under "*"."""
    if not marks:
        return {}
    ((common, _),) = Counter(marks.values()).most_common(1)
    return {"*": common, **{name: mark for name, mark in marks.items() if mark != common}}


def unpacked_marks(packed: Mapping[str, int], fields: Mapping[str, Any]) -> dict[str, int]:
    """The mark of each field."""
    return {name: packed.get(name, packed["*"]) for name in fields} if packed else {}
