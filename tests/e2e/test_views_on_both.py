"""The way of a price from its webhook to the view and pricing.events, embedded and on PostgreSQL, Kafka and Redis.

The servers are this module's own: topics have fixed names, and so have the groups that read them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from bus import TOPICS
from tests import postgres
from tests.e2e.conftest import STORE
from tests.e2e.test_menu import MENU, menu
from tests.e2e.test_views import HEADERS, INVENTORY, eventually, menu_of, post
from tests.e2e.tiffin import Tiffin
from tests.services import Stack

STORE_ID = "sto_tills"
CHANGES = 7
SECOND = 1.0
EVENTS = ("catalog.events", "pricing.events", "inventory.events", "store-status.events")
RETIRED = "tiffin.Retired.v1"
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, kafka_bootstrap: str) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("servers") / "services")
    for name in ("postgres", "kafka", "redis"):
        stack.start(name)
    yield stack
    stack.remove()


@pytest.fixture(params=["embedded", "servers"])
def running(request: pytest.FixtureRequest, installed: Callable[..., Tiffin]) -> Iterator[Tiffin]:
    if request.param == "embedded":
        tiffin = installed()
        tiffin.start()
        yield tiffin
        return
    stack: Stack = request.getfixturevalue("servers")
    reached = stack.environment()
    with postgres.database(reached["TIFFIN_TEST_POSTGRES_URL"], migrated=False) as url:
        tiffin = installed(
            TIFFIN_DATABASE_URL=url,
            TIFFIN_SECRET_KEY=postgres.KEY,
            TIFFIN_REDIS_URL=reached["TIFFIN_TEST_REDIS_URL"],
            TIFFIN_KAFKA_BOOTSTRAP=reached["TIFFIN_TEST_KAFKA_BOOTSTRAP"],
        )
        without_topics(reached["TIFFIN_TEST_KAFKA_BOOTSTRAP"])
        tiffin.run("topics", "--replication", "1", "--min-insync", "1", "--partitions", "4")
        tiffin.start("--workers", "2")
        yield tiffin
        tiffin.stop()


def without_topics(bootstrap: str) -> None:
    """What another test has put there is gone."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    if standing := sorted(set(admin.list_topics(timeout=30).topics) & set(TOPICS)):
        for done in admin.delete_topics(standing).values():
            done.result(30)
        eventually(lambda: not set(admin.list_topics(timeout=30).topics) & set(TOPICS))


def filled(tiffin: Tiffin) -> dict[str, Any]:
    """The store's menu once it has all 300 items."""
    post(tiffin, MENU, menu())
    found: dict[str, Any] = eventually(lambda: (m := menu_of(tiffin, STORE_ID)) and len(m["items"]) == 300 and m)
    return found


def price_of(tiffin: Tiffin, dish: str) -> str | None:
    found = menu_of(tiffin, STORE_ID)
    return next((item["price"]["amount"] for item in found["items"] if item["name"] == dish), None) if found else None


def told_of(tiffin: Tiffin, topic: str, subject: str) -> list[dict[str, Any]]:
    return [event for event in tiffin.lines("tail", topic, "--from-beginning") if event["subject"] == subject]


def seconds_until(look: Callable[[], Any]) -> float:
    started = time.monotonic()
    eventually(look)
    return time.monotonic() - started


def test_a_price_goes_from_the_webhook_to_the_view_and_to_pricing_events(running: Tiffin) -> None:
    dish = next(item for item in filled(running)["items"] if item["name"] == "Dish 1")
    changed = menu()
    changed["items"][1]["price"] = "99.50"
    post(running, MENU, changed)
    eventually(lambda: price_of(running, "Dish 1") == "99.50")
    events = eventually(lambda: (e := told_of(running, "pricing.events", dish["item_id"])) and len(e) >= 2 and e)
    assert [event["type"] for event in events] == ["tiffin.PriceChanged.v1"] * 2
    assert [(event["data"]["old"], event["data"]["new"]) for event in events] == [
        (None, {"price": {"amount": "81.00", "currency": "INR"}}),
        ({"price": {"amount": "81.00", "currency": "INR"}}, {"price": {"amount": "99.50", "currency": "INR"}}),
    ]
    assert {event["data"]["store_id"] for event in events} == {STORE_ID}


def test_a_webhook_at_light_load_is_visible_in_the_view_within_a_second(running: Tiffin) -> None:
    dish = next(item["item_id"] for item in filled(running)["items"] if item["name"] == "Dish 1")
    path = f"{running.url}/v1/items/{dish}"

    def available() -> bool:
        (place,) = running.client.get(path).json()["places"]
        shown: bool = place["availability"]["available"]
        return shown

    took = []
    for n in range(CHANGES):
        wanted = n % 2 == 1
        post(running, INVENTORY, {"restID": STORE, "type": "item", "inStock": wanted, "itemID": ["i1"]})
        took.append(seconds_until(lambda wanted=wanted: available() is wanted))
    # The machine may have other work for a moment.
    assert median(took) < SECOND, took


def settled_views(tiffin: Tiffin, commands: int) -> Any:
    """What a comparison with the log says once the views have taken in so many commands."""

    def compared() -> Any:
        found = tiffin.json("view", "rebuild", "--check", status=None)
        return found["commands"] == commands and found

    return eventually(compared)


def test_rewinding_the_commands_twice_ends_in_the_same_views_and_emits_no_event(running: Tiffin) -> None:
    filled(running)
    post(running, INVENTORY, {"restID": STORE, "type": "item", "inStock": False, "itemID": ["i1", "i2"]})
    running.settled()
    commands = len(running.commands())
    before = settled_views(running, commands)
    running.settled()
    told = {topic: len(running.lines("tail", topic, "--from-beginning")) for topic in EVENTS}
    assert told["pricing.events"] == 400  # 200 items without variants, 200 variants
    for _ in range(2):
        running.run("view", "rewind")
        after = settled_views(running, commands)
        assert (after["same"], after["stood"]) == (True, before["stood"])
    running.settled()
    assert {topic: len(running.lines("tail", topic, "--from-beginning")) for topic in EVENTS} == told


def test_a_snapshot_of_one_item_after_300_changes_nothing_until_it_is_accepted(running: Tiffin) -> None:
    filled(running)
    small = menu()
    small["items"] = small["items"][:1]
    waiting = running.post(MENU, json.dumps(small).encode(), HEADERS).headers["tiffin-delivery"]
    assert running.client.get(f"{running.url}/v1/deliveries/{waiting}").json()["state"] == "parked"
    running.settled()
    assert len(menu_of(running, STORE_ID)["items"]) == 300
    assert running.json("delivery", "accept", waiting)["verdict"] == "accepted"
    (left,) = eventually(lambda: (m := menu_of(running, STORE_ID)["items"]) and len(m) == 1 and m)
    assert left["name"] == "Dish 0"
    running.settled()
    retired = [e for e in running.lines("tail", "catalog.events", "--from-beginning") if e["type"] == RETIRED]
    assert len({event["subject"] for event in retired if event["data"]["kind"] == "item"}) == 299


def test_what_a_webhook_told_is_found_by_words(running: Tiffin) -> None:
    filled(running)

    def found() -> Any:
        answer = running.client.get(f"{running.url}/v1/search", params={"q": "dish 299", "kind": "item"})
        return answer.status_code == 200 and answer.json()["items"]

    (hit,) = eventually(found)
    assert (hit["name"], hit["store_id"], hit["price"]["amount"]) == ("Dish 299", STORE_ID, "379.00")
    # A score weighs a word by how common it is, and the index may still be filling.
    assert [one["id"] for one in running.json("search", "dish 299", "--kind", "item")["items"]] == [hit["id"]]
