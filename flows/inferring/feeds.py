"""Samples of one shape as one feed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from flows.inferring import readings
from flows.inferring.columns import Kind, expression, kinds, writable
from flows.inferring.rules import Place, rules_of, thin
from flows.inferring.samples import Decoded
from flows.inferring.senders import message_header
from flows.inferring.sketches import Rule, Said, Sketch, Uninferrable
from flows.inferring.vocabulary import likeness, words

_NAMES = {
    "UpdateStockLevel": "stock", "UpdatePrice": "prices", "UpsertMenuItem": "menu", "UpsertCatalogItem": "catalog",
    "UpdateItemAvailability": "availability", "UpdateOrderStatus": "orders", "UpdateStoreStatus": "store-status",
    "UpsertCategory": "categories", "RequestRefresh": "changes",
}  # fmt: skip
_MOST_UNREAD = 60


def grouped(samples: Iterable[Decoded]) -> list[list[Decoded]]:
    """Samples that belong together: those to one path, or without one those that share most of their outermost keys."""
    groups: list[list[Decoded]] = []
    for sample in samples:
        fitting = next((group for group in groups if _alike(group[0], sample)), None)
        if fitting is None:
            groups.append([sample])
        else:
            fitting.append(sample)
    return groups


def _alike(one: Decoded, other: Decoded) -> bool:
    if one.sample.path or other.sample.path or one.format != other.format:
        return (one.sample.path, one.format) == (other.sample.path, other.format)
    keys, others = _keys(one.document), _keys(other.document)
    return keys == others or len(keys & others) * 2 > len(keys | others)


def _keys(document: Any) -> set[str]:
    row = document[0] if isinstance(document, list) and document else document
    if isinstance(row, dict) and list(row) == ["rows"]:
        row = row["rows"][0] if row["rows"] else {}
    return set(row) if isinstance(row, dict) else set()


def family_of(samples: Iterable[Decoded]) -> str:
    """pos, erp or seller by the words of the payload."""
    said = " ".join(words(name) for sample in samples for name in _every_key(sample.document))
    if re.search(r"restaurant|menu|dish|cuisine|addon|kitchen|outlet|food", said):
        return "pos"
    return "erp" if re.search(r"warehouse|facility|on_hand|batch|bin|stock|inventory|qty", said) else "seller"


def _every_key(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _every_key(inner)
    elif isinstance(value, list):
        for inner in value[:20]:
            yield from _every_key(inner)


def currency_of(samples: Iterable[Decoded]) -> str | None:
    """The currency that the samples name, where it is one."""
    found = {
        text
        for kind in kinds(sample.document for sample in samples)
        for column in kind.columns()
        if likeness(column.name, "currency") > 0.5 and readings.currency_code(column)
        for text in column.texts
    }
    return found.pop() if len(found) == 1 else None


def sketch_of(group: list[Decoded], currency: str, family: str) -> Sketch:
    """Raises Uninferrable where nothing that is known is told of anything."""
    found = kinds(sample.document for sample in group)
    root = next((kind for kind in found if not kind.steps and not kind.many), None)
    wrapper = root is not None and len(root.rows) > 0 and all(set(row) == {"rows"} for row in root.rows)
    outer = None if wrapper else root
    rules = _rules(found, outer, currency, family)
    store = _outermost(outer, "store", "store")
    if not rules and found:
        changed = thin(Place(outer or found[-1], None, currency, family))
        rules = [changed] if changed else []
    if not rules:
        raise Uninferrable(_nothing_known(group, found))
    message = _outermost(outer, "message", "event_id")
    header = message_header(group[0].sample.headers)
    if header and all(message_header(one.sample.headers) == header for one in group):
        text = f"$request.headers.{expression((header,))}"
        message = Said("event_id", text, 0.8, f"the header {header} names the message", column="")
    if any(rule.each is None for rule in rules) and store is not None:
        rules = [_scoped(rule, store) for rule in rules]
    sample = group[0].sample
    name = _name(sample.path, rules)
    unread = tuple(sorted(set(_unread(found, rules, (store, message)))))[:_MOST_UNREAD]
    path = sample.path if sample.path != name else ""
    return Sketch(name, group[0].format, tuple(rules), store, message, unread, path, sample.method)


def _scoped(rule: Rule, store: Said) -> Rule:
    """The scope says which store already; where the store is what the command is about, the field stays."""
    return rule if rule.command == "UpdateStoreStatus" else rule.without("store_id")


def _name(path: str, rules: list[Rule]) -> str:
    said = re.sub(r"[^a-z0-9]+", "-", words(path)).strip("-")
    return said if said and not said[0].isdigit() else _NAMES.get(rules[0].command, "changes")


def _rules(found: list[Kind], outer: Kind | None, currency: str, family: str) -> list[Rule]:
    """Rules of every kind of object; of two with one command the surer, or the one in a list."""
    best: dict[str, tuple[float, Rule]] = {}
    for kind in found:
        if kind.steps and not kind.many and outer is None:
            continue
        for rule in rules_of(Place(kind, outer, currency, family)):
            nested = 0.1 * max(0, len(kind.steps) - 1)
            worth = rule.sure + (0.3 if kind.many else 0.0) + 0.02 * len(rule.fields) - nested
            if rule.command not in best or worth > best[rule.command][0]:
                best[rule.command] = (worth, rule)
    return _named(rule for _, rule in best.values())


def _named(rules: Iterable[Rule]) -> list[Rule]:
    names: dict[str, int] = {}
    made = []
    for rule in rules:
        names[rule.name] = names.get(rule.name, 0) + 1
        made.append(rule if names[rule.name] == 1 else replace(rule, name=f"{rule.name}_{names[rule.name]}"))
    return made


def _outermost(outer: Kind | None, role: str, name: str) -> Said | None:
    """A value of the document itself."""
    if outer is None:
        return None
    found: list[tuple[float, Said]] = []
    for column in outer.columns():
        sure = likeness(column.name, role)
        how = readings.identifier(column)
        if sure > 0.5 and how is not None and len(column.values) >= len(outer.rows):
            because = f"{column.name} sounds like {name.replace('_', ' ')}"
            found.append((sure, Said(name, expression(column.steps), sure, because, column=column.name)))
    return max(found, key=lambda one: one[0], default=(0.0, None))[1]


def _unread(found: list[Kind], rules: Iterable[Rule], others: Iterable[Said | None]) -> Iterable[str]:
    rules = tuple(rules)
    used = {said.text.removeprefix("$$.") for said in others if said is not None}
    for rule in rules:
        for said in (*rule.fields, *((rule.version,) if rule.version else ())):
            texts = (said.text, *(str(said.keys[key]) for key in ("currency", "unit") if key in said.keys))
            for text in texts:
                prefix = "" if text.startswith("$$.") or rule.each in (None, "$") else f"{rule.each}."
                used.add(f"{prefix}{text.removeprefix('$$.')}")
            used |= {f"{rule.each}.{said.text}.{path}" for path in _read_within(said)}
    for kind in found:
        for column in kind.columns():
            path = expression((*kind.steps, *column.steps))
            if path not in used and all(writable(step) for step in column.steps):
                yield path


def _read_within(said: Said) -> Iterable[str]:
    """The paths that the fields of a list read."""
    for written in said.keys.get("fields", {}).values():
        if isinstance(written, dict):
            yield from (text for key, text in written.items() if key in ("from", "currency", "unit"))
        else:
            yield written


def _nothing_known(group: list[Decoded], found: list[Kind]) -> str:
    name = group[0].sample.name
    if not found:
        return (
            f"{name} holds no object with fields: give a sample that tells of items, prices, stock, orders or stores."
        )
    keys: Mapping[str, None] = dict.fromkeys(c.name for kind in found for c in kind.columns())
    shown = ", ".join(list(keys)[:12]) or "no scalar field"
    return (
        f"Nothing in {name} could be taken for an id with something that is told of it. It has: {shown}. "
        "Write the file by hand: docs/how-to/write-a-provider-file.md"
    )
