"""Shapes of providers that are none of ours: what a first file says of each without being corrected."""

from __future__ import annotations

import json
from typing import Any

import yaml

from flows.inferring import Sample, infer
from schemas import canon

DELIVERY_POS = {
    "eventId": "dd-1", "storeRef": "ST-9", "sentAt": "2026-02-03T09:15:22+05:30",
    "menu": {"sections": [{"sectionId": "s1", "dishes": [
        {"dishId": "d-1", "title": "Bowl", "blurb": "With rice", "inStock": True,
         "basePrice": {"amount": 24900, "currencyCode": "INR"},
         "modifierGroups": [{"groupId": "g1", "title": "Size", "minSelect": 1, "maxSelect": 1, "modifiers": [
             {"modifierId": "m1", "title": "Large", "price": {"amount": 6000, "currencyCode": "INR"},
              "modifierGroups": [{"groupId": "g2", "title": "Sauce", "modifiers": []}]}]}]}]}]},
}  # fmt: skip
PRICE_LISTS = {
    "document": {"number": "PL-1", "revision": "3", "issued_on": "03.02.2026 08:00", "branch": "0420",
    "currency": "EUR"},
    "price_lists": [{"list": "RETAIL", "rows": [
        {"article": "00012345", "ean": "4006381333931", "label": "Stift", "net_cents": "129", "gross_cents": "153"},
        {"article": "00099001", "ean": "", "label": "Ordner", "net_cents": "", "gross_cents": ""}]}],
}  # fmt: skip
SHELVES = [
    {"wh": "DS-7", "ts": 1770088522, "sku": 900719925474099312, "uom": "EA", "avail": 14, "reserved": 2},
    {"wh": "DS-7", "ts": 1770088522, "sku": 900719925474099313, "uom": "KG", "avail": "0.750", "reserved": 0},
]


def first_file(document: Any, name: str = "sample.json") -> tuple[dict[str, Any], str]:
    """The feed of the first file, and the file's text."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    made = infer("unseen", [Sample(name, body, ())], canon())
    (feed,) = yaml.safe_load(made.text)["feeds"].values()
    return feed, made.text


def test_dishes_with_nested_modifiers_are_items_and_addon_groups() -> None:
    feed, _ = first_file(DELIVERY_POS)
    commands = {name: rule["command"] for name, rule in feed["commands"].items()}
    assert commands == {"items": "UpsertMenuItem", "addon_groups": "UpsertAddonGroup"}
    assert feed["commands"]["items"]["fields"] == {
        "item_id": "dishId", "name": "title", "description": "blurb", "available": "inStock",
        "source_time": "$$.sentAt",
        "price": {"from": "basePrice.amount", "currency": "basePrice.currencyCode"},
    }  # fmt: skip
    assert feed["commands"]["addon_groups"]["fields"] == {
        "addon_group_id": "groupId", "name": "title", "min": "minSelect", "max": "maxSelect",
        "addons": {"each": "modifiers", "fields": {
            "addon_id": "modifierId", "name": "title",
            "price": {"from": "price.amount", "currency": "price.currencyCode"}}},
    }  # fmt: skip


def test_the_store_by_reference_is_the_scope() -> None:
    assert first_file(DELIVERY_POS)[0]["scope"] == {"store": "storeRef"}


def test_groups_within_addons_and_whole_amounts_are_told_as_doubtful() -> None:
    text = first_file(DELIVERY_POS)[1]
    assert "lists within modifiers are not read: add nested_groups" in text
    assert "if they are minor units, add as: minor_units" in text


def test_prices_in_cents_are_read_as_minor_units() -> None:
    fields = first_file(PRICE_LISTS)[0]["commands"]["items"]["fields"]
    assert fields["price"] == {"from": "gross_cents", "as": "minor_units", "currency": "$$.document.currency"}
    assert fields["source_time"] == {"from": "$$.document.issued_on", "picture": "%d.%m.%Y %H:%M"}


def test_a_list_of_shelves_with_short_names_is_stock() -> None:
    (levels,) = first_file(SHELVES)[0]["commands"].values()
    assert (levels["command"], levels["each"]) == ("UpdateStockLevel", "$")
    assert levels["fields"]["quantity"] == {"from": "avail", "unit": "uom"}
    assert (levels["fields"]["variant_id"], levels["fields"]["store_id"]) == ("sku", "wh")


def test_the_same_as_lines_is_stock_too() -> None:
    lines = b"".join(json.dumps(shelf).encode() + b"\n" for shelf in SHELVES)
    feed, _ = first_file(lines, "shelves.ndjson")
    (levels,) = feed["commands"].values()
    assert (feed["accept"], levels["command"], levels["each"]) == ("ndjson", "UpdateStockLevel", "rows")


def test_an_object_with_a_currency_code_alone_is_nothing_that_is_sold() -> None:
    assert "item_id: currencyCode" not in first_file(DELIVERY_POS)[1]


REVISION = {
    "notification": {"uid": "nb-1", "kind": "price_revision", "raisedAt": "2026-11-20T09:14:03+05:30"},
    "branch": {"branchCode": "P-2"},
    "articles": [{"articleNo": "A-100", "sellingPrice": 189.5, "maxRetailPrice": 210, "taxPercent": 5, "isLive": "Y"}],
}


def test_a_uid_beside_the_lines_names_the_message_and_its_time_orders_them() -> None:
    feed, _ = first_file(REVISION)
    assert feed["idempotency"] == {"event_id": ["notification.uid"]}
    assert feed["commands"]["prices"]["version"] == {"from": "$$.notification.raisedAt", "as": "timestamp"}


def test_no_line_of_a_first_file_is_wider_than_one_that_ships() -> None:
    (article,) = REVISION["articles"]
    _, text = first_file({**REVISION, "articles": [{**article, **{f"field_{n}": n for n in range(40)}}]})
    assert [line for line in text.splitlines() if len(line) > 110] == []
