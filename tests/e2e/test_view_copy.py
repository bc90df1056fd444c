"""The copy of the views behind a running server, with a Redis of its own that goes away and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import STORE
from tests.e2e.test_menu import MENU, menu
from tests.e2e.test_views import INVENTORY, eventually, menu_of, post
from tests.e2e.tiffin import Tiffin
from tests.services import Stack

STORE_ID = "sto_tills"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def stack(tmp_path: Path, redis_url: str) -> Iterator[Stack]:
    stack = Stack(tmp_path / "services")
    yield stack
    stack.remove()


@pytest.fixture
def tiffin(stack: Stack, installed: Callable[..., Tiffin]) -> Tiffin:
    found = installed(TIFFIN_REDIS_URL=stack.start("redis")["TIFFIN_TEST_REDIS_URL"])
    found.start()
    return found


def reads(tiffin: Tiffin, source: str) -> float:
    name = f'tiffin_view_reads_total{{source="{source}"}} '
    lines = tiffin.client.get(f"{tiffin.url}/metrics").text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def quantities(tiffin: Tiffin) -> dict[str, bool]:
    found = tiffin.client.get(f"{tiffin.url}/v1/stores/{STORE_ID}/availability").json()
    return {one["name"]: one["available"] for one in found["items"] if one["kind"] == "item"}


def from_copy(tiffin: Tiffin) -> bool:
    before = reads(tiffin, "copy")
    quantities(tiffin)
    return reads(tiffin, "copy") > before


def test_readers_are_served_from_the_copy_and_with_redis_away_from_sql_until_it_has_healed(
    tiffin: Tiffin, stack: Stack
) -> None:
    post(tiffin, MENU, menu())
    eventually(lambda: (m := menu_of(tiffin, STORE_ID)) and len(m["items"]) == 300)
    eventually(lambda: from_copy(tiffin))
    assert len(menu_of(tiffin, STORE_ID)["items"]) == 300

    stack.stop("redis")
    post(tiffin, INVENTORY, {"restID": STORE, "type": "item", "inStock": False, "itemID": ["i1"]})
    eventually(lambda: quantities(tiffin)["Dish 1"] is False)
    assert not from_copy(tiffin)
    backing_off = 'tiffin_consumer_backing_off{consumer="copy"} 1.0'
    eventually(lambda: backing_off in tiffin.client.get(f"{tiffin.url}/metrics").text)

    stack.start("redis")
    eventually(lambda: from_copy(tiffin))
    assert quantities(tiffin)["Dish 1"] is False
    assert tiffin.json("view", "rebuild-copy", "--check")["different"] == 0
    assert tiffin.json("view", "rebuild-copy") == {"owners": 2, "entities": 812, "different": 0}
    assert from_copy(tiffin)


def test_without_redis_there_is_no_copy_to_make(installed: Callable[..., Tiffin]) -> None:
    assert "TIFFIN_REDIS_URL is not set" in installed().done("view", "rebuild-copy").stderr
