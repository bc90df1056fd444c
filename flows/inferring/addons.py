"""Groups of addons: what a customer may choose with an item."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flows.inferring import readings
from flows.inferring.columns import Kind, expression, kinds
from flows.inferring.sketches import Rule, Said
from flows.inferring.vocabulary import words

if TYPE_CHECKING:
    from flows.inferring.rules import Finder

_ADDONS = re.compile(r"(.*_)?(add_?ons?|modifiers?|toppings?|extras?|choices?)(_items?)?")
_GROUPS = re.compile(r"(.*_)?(add_?ons?|modifiers?|toppings?|extras?|choices?|options?)_?(groups?|sets?|lists?)")


def of_addons(name: str) -> bool:
    """Whether objects under a name are addons or groups of them."""
    said = words(name)
    return bool(_ADDONS.fullmatch(said) or _GROUPS.fullmatch(said))


def addon_group(find: Finder) -> Rule | None:
    """UpsertAddonGroup with its addons; None where the objects are no groups or have no id."""
    kind = find.place.kind
    if not _GROUPS.fullmatch(words(kind.name)):
        return None
    id_ = find.best("addon_group", readings.identifier, "addon_group_id")
    name = find.best("name", readings.text)
    if id_ is None or name is None:
        return None
    found = (id_, name, find.best("min", readings.integer), find.best("max", readings.integer),
             find.best("rank", readings.integer), find.best("active", readings.flag), _addons(find))  # fmt: skip
    fields = tuple(said for said in found if said is not None)
    return Rule("addon_groups", "UpsertAddonGroup", kind.each, fields, None, min(id_.sure, 0.8))


def _addons(find: Finder) -> Said | None:
    """The list of a group's addons, one level deep: groups within addons are left to be written by hand."""
    inner = next((one for one in kinds(find.place.kind.rows) if _of_a_group(one)), None)
    if inner is None:
        return None
    there = find.of(inner)
    id_ = there.best("addon", readings.identifier, "addon_id")
    if id_ is None:
        return None
    found = (id_, there.best("name", readings.text), there.money("price"),
             there.best("available", readings.flag), there.best("rank", readings.integer))  # fmt: skip
    fields: dict[str, Any] = {
        said.name: {"from": said.text, **said.keys} if said.keys else said.text for said in found if said is not None
    }
    sure = min(said.sure for said in found if said is not None)
    because = next((said.because for said in found if said is not None and said.sure == sure), "")
    if any(isinstance(value, list) and value for row in inner.rows for value in row.values()):
        sure, because = min(sure, 0.55), f"lists within {inner.name} are not read: add nested_groups"
    text = expression(inner.steps)
    return Said("addons", text, sure, because, {"each": text, "fields": fields}, ".".join(inner.steps))


def _of_a_group(kind: Kind) -> bool:
    return len(kind.steps) == 1 and kind.many
