"""The engine's work written by hand for two payloads: what a good engineer writes for one provider.

It decodes as strictly (duplicate keys, number text), reads exact decimals, checks the same schemas and
writes the same envelopes; the benchmark compares its commands with the interpreter's before timing either.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal, InvalidOperation
from typing import Any

import jiter
import orjson

import schemas

CANON = schemas.canon()
FOOD = {"1": "veg", "2": "non_veg", "5": "other", "24": "egg"}
YES = {"1": True, "0": False}
IN_STOCK = {"0": False, "1": True, "2": True}


def decode(body: bytes) -> Any:
    return text_of_numbers(
        jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="lossless-float")
    )


def text_of_numbers(value: Any) -> Any:
    kind = value.__class__
    if kind is dict:
        for key, inner in value.items():
            if inner.__class__ is not str:
                value[key] = text_of_numbers(inner)
    elif kind is list:
        for n, inner in enumerate(value):
            if inner.__class__ is not str:
                value[n] = text_of_numbers(inner)
    elif kind is int or kind is jiter.LosslessFloat:
        return str(value)
    return value


def money(text: str) -> dict[str, str]:
    amount = Decimal(text)
    exact = amount.quantize(Decimal("0.01"))
    if exact != amount or amount < 0:
        raise ValueError(text)
    return {"amount": format(exact, "f"), "currency": "INR"}


def plain(text: str) -> str:
    written = format(Decimal(text), "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


def menu(body: bytes, ids: dict[tuple[str, str, str], str], context: dict[str, Any]) -> list[bytes]:
    document = decode(body)
    store = document["outlet"]
    base = {"merchant_id": context["tenant"], "store_id": ids["store", "", store]}
    categories = {c["categoryid"] for c in document["categories"]}
    taxes = {t["taxid"]: t for t in document["taxes"]}
    found: list[tuple[str, str, dict[str, Any]]] = []
    for category in document["categories"]:
        data = {
            "category_id": ids["category", store, category["categoryid"]],
            "name": category["categoryname"],
            "rank": int(category["categoryrank"]),
            "active": YES[category["active"]],
            **base,
        }
        found.append(("UpsertCategory", data["category_id"], data))
    for group in document["addongroups"]:
        addons = [
            {"addon_id": ids["addon", store, a["id"]], "name": a["name"], "price": money(a["price"]),
             "available": YES[a["active"]]}
            for a in group["addons"]
        ]  # fmt: skip
        data = {"addon_group_id": ids["addon_group", store, group["groupid"]], "name": group["groupname"],
                "addons": addons, **base}  # fmt: skip
        found.append(("UpsertAddonGroup", data["addon_group_id"], data))
    variants: list[tuple[str, str, dict[str, Any]]] = []
    for item in document["items"]:
        if item["active"] == "0":
            continue
        if item["item_categoryid"] not in categories:
            raise ValueError("unknown category")
        item_id = ids["item", store, item["itemid"]]
        data = {
            "item_id": item_id,
            "name": item["itemname"].strip(),
            "description": item["itemdescription"],
            "category_ids": [ids["category", store, item["item_categoryid"]]],
            "available": IN_STOCK[item["in_stock"]],
            "rank": int(item["itemrank"]),
            "food_type": FOOD[item["item_attributeid"]],
            "image_urls": [item["item_image_url"]],
            "tax_inclusive": item.get("tax_inclusive", False),
            "addon_groups": [
                {"addon_group_id": ids["addon_group", store, a["groupid"]], "min": int(a["min"]), "max": int(a["max"])}
                for a in item["addon"]
            ],
            "taxes": [
                {"name": taxes[t]["taxname"], "percent": plain(taxes[t]["tax"])}
                for t in item["item_tax"].split(",")
                if t in taxes
            ],
            **base,
        }
        if not item["variation"]:
            data["price"] = money(item["price"])
        found.append(("UpsertMenuItem", item_id, data))
        for variant in item["variation"]:
            made = {
                "variant_id": ids["variant", store, variant["id"]],
                "item_id": item_id,
                "name": variant["name"],
                "price": money(variant["price"]),
                "active": YES[variant["active"]],
                "rank": int(variant["variationrank"]),
                "options": [{"name": variant["groupname"], "value": variant["name"]}],
                **base,
            }
            variants.append(("UpsertVariant", made["variant_id"], made))
    return events(found + variants, context, document)


def stock(body: bytes, ids: dict[tuple[str, str, str], str], context: dict[str, Any]) -> list[bytes]:
    document = decode(body)
    named = ("bench", "stock", "levels", document["eventId"])
    claim = "event_id:" + hashlib.sha256("".join(f"{len(n)}:{n}" for n in named).encode()).hexdigest()[:32]
    wanted = {("store", "", document["warehouse"])} | {("item", "", line["sku"]) for line in document["lines"]}
    ids = {ref: ids[ref] for ref in wanted}
    base = {"merchant_id": context["tenant"], "store_id": ids["store", "", document["warehouse"]]}
    found = []
    failures = []
    for n, line in enumerate(document["lines"]):
        try:
            quantity = {"amount": plain(line["qty"]), "unit": "each"}
            data = {"item_id": ids["item", "", line["sku"]], "quantity": quantity, **base}
        except (KeyError, TypeError, InvalidOperation) as error:
            failures.append((n, str(error)))
            continue
        found.append(("UpdateStockLevel", data["item_id"], data))
    return events(found, {**context, "claim": claim}, document)


def events(found: list[tuple[str, str, dict[str, Any]]], context: dict[str, Any], document: Any) -> list[bytes]:
    """Checks every command and writes its envelope."""
    claim = context.get("claim") or hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()
    written = []
    for name, subject, data in found:
        if not CANON.commands[name].valid(data):
            raise ValueError(name)
        dumped = orjson.dumps(data)
        commandkey = hashlib.blake2b(f"{claim}|{name}|{subject}".encode(), digest_size=16).hexdigest()
        event = {
            "specversion": "1.0",
            "id": hashlib.blake2b(commandkey.encode() + dumped, digest_size=16).hexdigest(),
            "type": f"tiffin.{name}.v1",
            "dataschema": f"https://tiffin.dev/schemas/commands/{name}.v1.schema.json",
            "source": context["source"],
            "datacontenttype": "application/json",
            "tenant": context["tenant"],
            "deliveryid": context["delivery"],
            "specrevision": 1,
            "commandkey": commandkey,
            "subject": subject,
            "partitionkey": f"{context['tenant']}/{data['store_id']}",
            "time": context["time"],
            "data": data,
        }
        written.append(orjson.dumps(event))
    return written
