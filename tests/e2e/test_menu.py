"""A large menu, as its sender and as whoever reads the bus see it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import STORE, TOKEN
from tests.e2e.tiffin import Tiffin

MENU = "/v1/integrations/pos/petpooja/webhooks/menu"
ITEMS = 300


def menu() -> dict[str, Any]:
    categories = [{"categoryid": f"c{n}", "categoryname": f"Category {n}", "active": "1"} for n in range(12)]
    items = [
        {
            "itemid": f"i{n}",
            "itemname": f"Dish {n}",
            "item_categoryid": f"c{n % 12}",
            "price": f"{80 + n}.00",
            "in_stock": "2",
            "active": "1",
            "item_attributeid": "1",
            "variation": [
                {"id": f"v{n}-{name}", "name": name, "price": f"{90 + n}", "active": "1"}
                for name in (("Half", "Full") if n % 3 == 0 else ())
            ],
        }
        for n in range(ITEMS)
    ]
    return {
        "success": "1",
        "restaurants": [{"restaurantid": STORE, "active": "1", "details": {"menusharingcode": STORE}}],
        "categories": categories,
        "items": items,
    }


@pytest.fixture
def curl(tmp_path):
    body = tmp_path / "menu.json"
    body.write_text(json.dumps(menu()))

    def post(tiffin: Tiffin) -> tuple[int, dict[str, Any], str]:
        """Status, body and delivery id of the menu's answer."""
        told = subprocess.run(
            ["curl", "--silent", "--show-error", "--data-binary", f"@{body}", "--header", f"Authorization: {TOKEN}",
             "--header", "Content-Type: application/json", "--write-out", "\n%{http_code} %header{tiffin-delivery}",
             tiffin.url + MENU],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        reply, _, trailer = told.stdout.rpartition("\n")
        status, delivery = trailer.split()
        return int(status), json.loads(reply), delivery

    return post


def verdict(tiffin: Tiffin, delivery: str) -> str:
    return tiffin.client.get(f"{tiffin.url}/v1/deliveries/{delivery}").json()["state"]


def test_a_menu_of_300_items_gives_its_commands_once_also_after_a_kill(tiffin: Tiffin, curl) -> None:
    status, reply, delivery = curl(tiffin)
    assert (status, reply["success"], verdict(tiffin, delivery)) == (200, "1", "accepted")
    tiffin.settled()
    commands = tiffin.commands()
    names = [event["type"].split(".")[1] for event in commands]
    assert {name: names.count(name) for name in set(names)} == {
        "UpsertCategory": 12,
        "UpsertMenuItem": ITEMS,
        "UpsertVariant": 200,
    }
    assert {event["deliveryid"] for event in commands} == {delivery}

    status, again, second = curl(tiffin)
    assert (status, again, verdict(tiffin, second)) == (200, reply, "duplicate")

    tiffin.kill_all()
    tiffin.start()
    status, again, third = curl(tiffin)
    assert (status, again, verdict(tiffin, third)) == (200, reply, "duplicate")
    ledger = tiffin.settled()
    assert tiffin.commands() == commands
    assert ledger["difference"] == 0


def test_sigterm_writes_what_waits_and_ends_well(tiffin: Tiffin, curl) -> None:
    _, _, delivery = curl(tiffin)
    assert tiffin.stop() == 0
    ledger = tiffin.json("ledger", "--deep")
    assert ledger["difference"] == 0
    assert [line["id"] for line in tiffin.json("delivery", "list")] == [delivery]


def test_a_second_server_on_the_same_folder_is_refused_in_one_line(tiffin: Tiffin) -> None:
    done = Tiffin(tiffin.data).done("serve", "--port", "0")
    assert done.returncode == 1
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert said == [
        f"tiffin: Another process ({tiffin.pid}) serves from {tiffin.data}. Stop it, or choose another TIFFIN_DATA."
    ]
