"""The search index of the embedded set-up and of PostgreSQL: kept by events, asked by words, made again from views."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from bus import EmbeddedLog, Message
from bus.consumers import LogConsumer
from bus.topics import CATALOG_EVENTS
from engine.search_terms import DocKey, Question
from flows.consume import reindex
from flows.consume.follower import Follower
from flows.consume.reindex import Reindexer, changes_of
from flows.consume.running import transaction
from flows.logging import logger
from flows.searching import shown
from stores.database import open_database
from stores.search.index import Index, SearchAway
from stores.search.postgres_index import PostgresIndex
from stores.search.sqlite_index import FILE, SqliteIndex
from stores.view_sources import SqlViews
from stores.views import Advance, Moved
from tests import postgres
from tests.flows.test_project import Scene, command, opened, pieces, rupees


class Searched:
    """A scene with an index that follows its events."""

    def __init__(self, scene: Scene, make: Callable[[], Index], folder: Path) -> None:
        self.scene, self.make, self.folder = scene, make, folder
        self.index = make()
        self.told = 0
        self.follower = self.another()

    def another(self) -> Follower:
        return Follower(
            "search",
            open_consumer=lambda start: LogConsumer(self.scene.log, CATALOG_EVENTS, start),
            open_taker=lambda: Reindexer(self.make(), self.bus, self.scene.database.engine.connect),
            jitter=random.random,
            log=logger("test"),
        )

    def bus(self) -> EmbeddedLog:
        return EmbeddedLog(self.folder / "bus.db")

    def publish(self) -> None:
        """Puts the events in the outbox on the bus, as the relay does."""
        events = [one for one in self.scene.events() if one["topic"] == CATALOG_EVENTS]
        made = [Message(one["id"], one["partitionkey"].encode(), orjson.dumps(one)) for one in events[self.told :]]
        self.told = len(events)
        assert self.scene.log.publish(CATALOG_EVENTS, made) == [None] * len(made)

    def tell(self, *commands: dict[str, Any]) -> None:
        self.scene.tell(*commands)
        self.publish()
        self.follow()

    def follow(self) -> None:
        while self.follower.step():
            pass

    def find(self, text: str, **where: Any) -> list[str]:
        return [hit.key.id for hit in self.index.search(Question(text, **{"tenant": "north", **where}))]

    def rebuild(self) -> int | None:
        return reindex.rebuild(self.make(), self.bus, self.scene.database.engine.connect)


@pytest.fixture(params=["sqlite", "postgres"])
def searched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Searched]:
    with opened(tmp_path) as scene:
        if request.param == "sqlite":
            found = Searched(scene, lambda: SqliteIndex(tmp_path, write=True), tmp_path)
            yield found
            found.follower.close()
            found.index.close()
            return
        with postgres.database(request.getfixturevalue("postgres_url")) as url:
            database = open_database(url)
            found = Searched(scene, lambda: PostgresIndex(partial(transaction, database)), tmp_path)
            yield found
            found.follower.close()
            database.close()


def item(id: str, name: str, /, store: str = "sto_1", tenant: str = "north", **data: Any) -> dict[str, Any]:
    made = command("UpsertMenuItem", f"u-{tenant}-{store}-{id}-{name}", store=store, item_id=id, name=name, **data)
    return {**made, "tenant": tenant, "source": f"/tenants/{tenant}/providers/acme/feeds/menu"}


MENU = [
    item("itm_1", "Paneer Tikka", sku="PT-1", tags=["starter"]),
    item("itm_2", "Paneer Butter Masala", description="Paneer in tomato, with cream"),
    item("itm_3", "Crème brûlée", brand="Paris"),
    item("itm_4", "Brown Rice 500 g", barcodes=["8901234567890"]),
]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("tikka", ["itm_1"]),
        ("TIK", ["itm_1"]),
        ("masala paneer", ["itm_2"]),
        ("creme", ["itm_3"]),
        ("brulée paris", ["itm_3"]),
        ("8901234567890", ["itm_4"]),
        ("pt-1", ["itm_1"]),
        ("starter", ["itm_1"]),
        ("tomato", ["itm_2"]),
        ("itm_4", ["itm_4"]),
        ("biryani", []),
        ('"paneer" OR tikka)', []),
    ],
)
def test_words_and_their_beginnings_find_names_codes_and_the_rest(
    searched: Searched, text: str, ids: list[str]
) -> None:
    searched.tell(*MENU)
    assert searched.find(text) == ids


@pytest.mark.parametrize(("text", "id"), [("panner tikka", "itm_1"), ("tika", "itm_1"), ("massala", "itm_2")])
def test_a_mistyped_word_finds_what_is_like_it(searched: Searched, text: str, id: str) -> None:
    searched.tell(*MENU)
    assert id in searched.find(text)


def test_a_code_with_another_digit_finds_nothing(searched: Searched) -> None:
    searched.tell(*MENU)
    assert searched.find("8901234567891") == []


def test_a_name_weighs_more_than_a_description(searched: Searched) -> None:
    searched.tell(item("itm_b", "Curry", description="with ghee"), item("itm_a", "Ghee"))
    assert searched.find("ghee") == ["itm_a", "itm_b"]


def test_nobody_finds_what_is_another_tenants_or_in_another_store(searched: Searched) -> None:
    searched.tell(item("itm_1", "Dal"), item("itm_2", "Dal", "sto_2"), item("itm_3", "Dal", "sto_1", "south"))
    assert sorted(searched.find("dal")) == ["itm_1", "itm_2"]
    assert searched.find("dal", store="sto_2") == ["itm_2"]
    assert searched.find("dal", tenant="south") == ["itm_3"]
    assert searched.find("dal", tenant="south", store="sto_2") == []
    assert searched.find("dal", kind="variant") == []
    assert sorted(searched.find("dal", kind="item")) == ["itm_1", "itm_2"]


def test_what_is_renamed_or_retired_is_found_no_more(searched: Searched) -> None:
    searched.tell(*MENU)
    searched.tell(item("itm_1", "Chaat"), command("Retire", "r", item_id="itm_2"))
    assert searched.find("paneer") == []
    assert searched.find("chaat") == ["itm_1"]
    searched.tell(item("itm_2", "Paneer again"))
    assert searched.find("paneer") == ["itm_2"]


def test_pages_show_every_hit_once(searched: Searched) -> None:
    searched.tell(*(item(f"itm_{n:02}", "Dal") for n in range(25)))
    pages = [searched.find("dal", limit=10, offset=offset) for offset in (0, 10, 20)]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert len({id for page in pages for id in page}) == 25


def test_an_index_made_from_the_views_is_the_one_that_events_made(searched: Searched) -> None:
    searched.tell(
        *MENU, command("Retire", "r", item_id="itm_3"), command("UpsertStore", "s", store_id="sto_1", name="P")
    )
    asked = ("paneer", "brown", "creme", "p", "itm")
    before = [searched.find(text) for text in asked]
    assert searched.rebuild() == 4
    assert [searched.find(text) for text in asked] == before
    searched.tell(item("itm_9", "Paneer roll"))
    assert "itm_9" in searched.find("paneer")


def test_an_index_that_is_new_begins_with_what_the_views_have(searched: Searched) -> None:
    searched.scene.tell(*MENU)
    # Their events are not on the bus any more.
    assert searched.follower.step() == 0
    assert searched.find("tikka") == ["itm_1"]


def test_a_follower_goes_on_where_the_one_before_ended(searched: Searched) -> None:
    searched.tell(*MENU)
    searched.follower.close()
    searched.follower = searched.another()
    assert searched.follower.step() == 0
    searched.tell(item("itm_9", "Dosa"))
    assert searched.follower.health[:3] == ("running", 0, 1)
    assert searched.find("dosa") == ["itm_9"]


def test_a_follower_whose_offsets_were_moved_writes_nothing_and_reads_again(searched: Searched) -> None:
    searched.tell(*MENU)
    other = searched.make()
    before = other.offsets()
    assert before is not None
    with pytest.raises(Moved):
        other.take([], [], [Advance(0, before[0] - 1, before[0] + 1)])
    assert searched.make().offsets() == before
    searched.scene.tell(item("itm_9", "Dosa"))
    searched.publish()
    other.take([], [], [Advance(0, before[0], before[0] + 1)])
    with suppress(Moved):
        searched.follower.step()
    searched.rebuild()
    searched.follow()
    assert searched.find("dosa") == ["itm_9"]
    other.close()


def test_hits_are_shown_as_the_views_have_them_now(searched: Searched) -> None:
    searched.tell(item("itm_1", "Dal", price=rupees("80"), sku="D1"), item("itm_2", "Dal fry"))
    searched.scene.tell(command("UpdatePrice", "p", item_id="itm_1", price=rupees("85")),
                        command("UpdateStockLevel", "l", item_id="itm_1", quantity=pieces("3")))  # fmt: skip
    question = Question("dal", "north", limit=2)
    found = searched.scene.read(lambda c: shown(SqlViews(c), question, searched.index.search(question)))
    (hit,) = found["items"]
    assert (hit["id"], hit["name"], hit["sku"], hit["price"]["amount"]) == ("itm_1", "Dal", "D1", "85")
    assert (hit["availability"]["quantity"]["amount"], hit["store_id"], found["next"]) == ("3", "sto_1", "1")


def test_what_is_no_event_of_the_catalogue_is_passed_over() -> None:
    from bus.messages import Stored

    values = [b"", b"{}", b"[]", b'{"type": "x", "data": {}}', b'{"type":"t.ItemChanged.v1","tenant":"t","data":[]}']
    good = {"type": "tiffin.Retired.v1", "tenant": "t", "data": {"merchant_id": "m", "kind": "item", "id": "i"}}
    messages = [Stored(n, "", b"", value) for n, value in enumerate([*values, orjson.dumps(good)])]
    assert changes_of(messages) == ([], [DocKey("t", "m", "item", "i")])


def test_an_index_that_nobody_made_finds_nothing(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path)
    assert (index.offsets(), index.search(Question("dal", "north"))) == (None, [])
    assert not (tmp_path / FILE).exists()


def test_a_file_that_is_no_index_is_told_and_not_searched(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(SearchAway, match=FILE):
        SqliteIndex(tmp_path).search(Question("dal", "north"))
