"""From the webhook to the view and the events, also over a kill."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.e2e.conftest import STORE, TOKEN
from tests.e2e.test_menu import MENU, menu
from tests.e2e.tiffin import Tiffin

INVENTORY = "/v1/integrations/pos/petpooja/webhooks/inventory"
HEADERS = {"authorization": TOKEN, "content-type": "application/json"}


def post(tiffin: Tiffin, path: str, document: Any) -> None:
    assert tiffin.post(path, json.dumps(document).encode(), HEADERS).status_code == 200


def eventually(look: Any, seconds: float = 60.0) -> Any:
    give_up = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return found


def menu_of(tiffin: Tiffin, store: str) -> Any:
    answer = tiffin.client.get(f"{tiffin.url}/v1/stores/{store}/menu")
    return answer.json() if answer.status_code == 200 else None


def store_id(tiffin: Tiffin) -> str:
    eventually(tiffin.commands)
    found: str = tiffin.commands()[0]["data"]["store_id"]
    return found


def test_a_menu_becomes_views_and_events_which_a_kill_neither_loses_nor_doubles(tiffin: Tiffin) -> None:
    post(tiffin, MENU, menu())
    store = store_id(tiffin)
    tiffin.kill_all()
    tiffin.start()
    found = eventually(lambda: (m := menu_of(tiffin, store)) and len(m["items"]) == 300 and m)
    dish = next(item for item in found["items"] if item["name"] == "Dish 1")
    assert dish["price"] == {"amount": "81.00", "currency": "INR"}

    post(tiffin, INVENTORY, {"restID": STORE, "type": "item", "inStock": False, "itemID": ["i1"]})

    def off() -> Any:
        items = menu_of(tiffin, store)["items"]
        return [i for i in items if i["item_id"] == dish["item_id"] and i["availability"]["available"] is False]

    eventually(off)
    tiffin.settled()
    told = eventually(lambda: [
        event for event in tiffin.lines("tail", "inventory.events", "--from-beginning")
        if event["subject"] == dish["item_id"] and event["data"]["new"]["available"] is False
    ])  # fmt: skip
    assert [event["type"] for event in told] == ["tiffin.AvailabilityChanged.v1"]
    prices = tiffin.lines("tail", "pricing.events", "--from-beginning")
    assert len(prices) == len({event["id"] for event in prices}) == 400  # 200 items without variants, 200 variants

    rebuilt = tiffin.json("view", "rebuild", "--check")
    assert rebuilt["same"] is True
    tiffin.run("view", "rewind")
    eventually(lambda: tiffin.client.get(f"{tiffin.url}/metrics").text.count('result="repeated"'))
    assert len(tiffin.lines("tail", "pricing.events", "--from-beginning")) == 400
    shown = tiffin.json("view", "store", store)
    assert shown["items"] == menu_of(tiffin, store)["items"]
    assert dish["item_id"] in tiffin.run("view", "store", store)
    assert tiffin.json("view", "item", dish["item_id"])["places"][0]["name"] == "Dish 1"
