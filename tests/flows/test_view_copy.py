"""The copy of the views on a real Redis: set by version, left alone when it is away or lacks something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Connection

from engine.views import Entity, EntityKey
from flows import views as shown
from flows.consume import recopying
from flows.consume.copier import MOST_WAITING, Copier
from flows.logging import logger
from flows.view_reading import ViewReading
from stores import copied_views, view_copy, views
from stores.copied_views import CopiedViews
from stores.view_copy import CopyAway, ViewCopy, values_of
from stores.view_sources import SqlViews, Views
from stores.views import Advance
from tests.flows.test_project import Scene, command, opened, pieces, rupees

NOWHERE = "redis://127.0.0.1:1/0"


class Copied:
    """A scene whose projector hands what it wrote to a copier, which writes when it is told to."""

    def __init__(self, scene: Scene, url: str) -> None:
        self.scene, self.url = scene, url
        self.copier = self.another()

    def another(self, url: str = "") -> Copier:
        copier = Copier(url or self.url, self.scene.read, self.scene.write, logger("test"))
        self.scene.projector.on_written = copier.written
        return copier

    def tell(self, *commands: dict[str, Any]) -> None:
        self.scene.tell(*commands)
        self.copier.step()

    def reading(self, url: str = "") -> tuple[Callable[[Callable[[Views], Any]], Any], ViewReading]:
        found = ViewReading(None, url or self.url)  # type: ignore[arg-type]
        return lambda job: self.scene.read(lambda c: found._run(c, job)), found

    def source_of(self, job: Callable[[Views], Any]) -> tuple[str, Any]:
        """Where a reading came from, and what it found."""
        read, reading = self.reading()
        found = read(job)
        ((source, _),) = reading.counts.items()
        return source, found


@pytest.fixture
def copied(tmp_path: Path, redis_url: str) -> Iterator[Copied]:
    with opened(tmp_path) as scene:
        yield Copied(scene, redis_url)
        client = redis.Redis.from_url(redis_url)
        for key in client.scan_iter(f"{{tiffin-views:{scene.write(copied_views.mark_of)}}}*"):
            client.delete(key)
        client.close()


def item(id: str, name: str = "Rice", **data: Any) -> dict[str, Any]:
    return command("UpsertMenuItem", f"u-{id}-{name}", item_id=id, name=name, **data)


def stock(id: str, amount: str, command_id: str) -> dict[str, Any]:
    return command("UpdateStockLevel", command_id, item_id=id, quantity=pieces(amount))


def variant(id: str, of: str) -> dict[str, Any]:
    return command("UpsertVariant", f"v-{id}", variant_id=id, item_id=of, name="Half", price=rupees("40"))


READINGS: list[Callable[[Views], Any]] = [
    lambda v: shown.menu(v, "sto_1"),
    lambda v: shown.menu(v, "sto_1", limit=1),
    lambda v: shown.menu(v, "sto_1", after="itm_1"),
    lambda v: shown.availability(v, "sto_1"),
    lambda v: shown.availability(v, "sto_1", after=("item", "itm_1"), limit=1),
    lambda v: shown.item(v, "itm_1"),
    lambda v: shown.item(v, "var_1"),
]


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("filled", ["by the first reader", "by a rebuild"])
def test_the_copy_shows_what_sql_shows(copied: Copied, reading: Callable[[Views], Any], filled: str) -> None:
    copied.tell(
        command("UpsertStore", "s", store_id="sto_1", name="Corner"),
        item("itm_1", price=rupees("80")), item("itm_2", "Dal"), variant("var_1", "itm_1"), stock("itm_1", "5", "l-1"),
        command("UpsertCategory", "c", category_id="cat_1", name="Mains"),
    )  # fmt: skip
    if filled == "by a rebuild":
        rebuilt(copied)
    wanted = copied.scene.read(lambda c: reading(SqlViews(c)))
    assert copied.source_of(reading) == ("copy", wanted)
    assert copied.source_of(reading) == ("copy", wanted)
    copied.tell(stock("itm_1", "4", "l-2"), stock("itm_2", "3", "l-3"), item("itm_1", "Brown rice"))
    changed = copied.scene.read(lambda c: reading(SqlViews(c)))
    assert changed != wanted or reading is READINGS[6] or reading is READINGS[2]
    assert copied.source_of(reading) == ("copy", changed)


def test_an_older_write_never_replaces_a_newer(copied: Copied) -> None:
    copied.tell(item("itm_1", "Old"), item("itm_2"))
    old = copied.scene.entity("catalogue", "item", "itm_1")
    copied.source_of(lambda v: shown.menu(v, "sto_1"))
    copied.tell(item("itm_1", "New"))
    copy, head = of(copied)
    assert copy.put(head, list(values_of(old))) == "ok"
    source, found = copied.source_of(lambda v: shown.menu(v, "sto_1"))
    assert (source, [one["name"] for one in found["items"]]) == ("copy", ["New", "Rice"])


def test_what_a_reader_fills_in_late_does_not_replace_what_was_written_meanwhile(copied: Copied) -> None:
    copied.tell(item("itm_1", "Old"))
    copy, head = of(copied)
    with copied.scene.database.engine.connect() as connection:
        slow = CopiedViews(connection, copy, head)
        read = slow._of("catalogue", "north", "sto_1")
        copied.tell(item("itm_1", "New"))
        assert copy.fill(head, read[0].hash, read) == "ok"
    source, found = copied.source_of(lambda v: shown.menu(v, "sto_1"))
    assert (source, found["items"][0]["name"]) == ("copy", "New")


def test_a_copy_that_lacks_a_write_is_not_read(copied: Copied) -> None:
    copied.tell(item("itm_1", "Old"))
    copied.scene.tell(item("itm_1", "New"))
    source, found = copied.source_of(lambda v: shown.menu(v, "sto_1"))
    assert (source, found["items"][0]["name"]) == ("sql", "New")
    copied.copier.step()
    assert copied.source_of(lambda v: shown.menu(v, "sto_1")) == ("copy", found)


def test_what_a_process_wrote_before_it_died_is_found_missing_and_the_copy_begins_anew(copied: Copied) -> None:
    copied.tell(item("itm_1", "Old"), item("itm_2"))
    copied.source_of(lambda v: shown.menu(v, "sto_1"))
    copied.scene.tell(item("itm_1", "New"))
    copied.copier = copied.another()
    copied.tell(item("itm_2", "Other"))
    source, found = copied.source_of(lambda v: shown.menu(v, "sto_1"))
    assert (source, [one["name"] for one in found["items"]]) == ("copy", ["New", "Other"])


def test_a_copy_that_stays_behind_without_new_commands_begins_anew(copied: Copied) -> None:
    copied.tell(item("itm_1", "Old"))
    copied.source_of(lambda v: shown.menu(v, "sto_1"))
    copied.scene.tell(item("itm_1", "New"))
    copied.copier = copied.another()
    for _ in range(3):
        copied.copier.step()
    source, found = copied.source_of(lambda v: shown.menu(v, "sto_1"))
    assert (source, found["items"][0]["name"]) == ("copy", "New")


def test_without_redis_readers_are_served_from_sql_and_ask_it_no_more_for_a_second(copied: Copied) -> None:
    copied.tell(item("itm_1"))
    read, reading = copied.reading(NOWHERE)
    assert read(lambda v: shown.menu(v, "sto_1"))["items"]
    assert reading._away_until > 0
    assert read(lambda v: shown.menu(v, "sto_1"))["items"]
    assert dict(reading.counts) == {"sql": 2}


def test_writes_wait_for_a_redis_that_is_away_and_heal_the_copy_when_it_is_back(copied: Copied) -> None:
    copied.tell(item("itm_1", "Old"))
    copied.source_of(lambda v: shown.menu(v, "sto_1"))
    away = ViewCopy(NOWHERE, "x")
    there, copied.copier._copy = copied.copier._copy, away
    copied.scene.tell(item("itm_1", "New"), stock("itm_1", "3", "l-1"))
    with pytest.raises(CopyAway):
        copied.copier.step()
    assert copied.copier.health.behind == 2
    copied.copier._copy, copied.copier._head = there, None
    copied.copier.step()
    assert copied.copier.health.behind == 0
    source, found = copied.source_of(lambda v: shown.menu(v, "sto_1"))
    assert (source, found["items"][0]["name"]) == ("copy", "New")


def test_where_more_waits_than_is_kept_the_copy_begins_anew(copied: Copied) -> None:
    copied.tell(item("itm_1", "Old"))
    before = of(copied)[1].generation
    copied.scene.tell(item("itm_1", "New"))
    copied.copier.written((), [copied.scene.entity("catalogue", "item", "itm_1")] * MOST_WAITING)
    copied.copier.step()
    assert of(copied)[1].generation != before
    assert copied.source_of(lambda v: shown.menu(v, "sto_1"))[1]["items"][0]["name"] == "New"


def test_an_empty_redis_is_filled_by_those_who_read(copied: Copied) -> None:
    copied.tell(item("itm_1"))
    copy, head = of(copied)
    copy._redis.delete(f"{copy._prefix}head")
    assert copied.source_of(lambda v: shown.menu(v, "sto_1"))[0] == "sql"
    copied.copier.step()
    assert copied.source_of(lambda v: shown.menu(v, "sto_1"))[0] == "copy"
    assert of(copied)[1].generation != head.generation


def test_views_that_were_replaced_void_the_copy(copied: Copied, tmp_path: Path) -> None:
    copied.tell(item("itm_1", "Old"), item("itm_1", "New"))
    copied.source_of(lambda v: shown.menu(v, "sto_1"))
    (tmp_path / "other").mkdir()
    with opened(tmp_path / "other") as other:
        other.tell(item("itm_1", "Replaced"))
        with other.database.engine.connect() as source:
            copied.scene.write(lambda c: views.replace(c, source))
    assert copied.source_of(lambda v: shown.menu(v, "sto_1"))[0] == "sql"
    copied.copier.step()
    source_, found = copied.source_of(lambda v: shown.menu(v, "sto_1"))
    assert (source_, found["items"][0]["name"]) == ("copy", "Replaced")


def test_an_owner_with_more_than_is_read_at_once_is_read_from_sql(
    copied: Copied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_copy, "MOST", 2)
    monkeypatch.setattr(copied_views, "MOST", 2)
    copied.tell(item("itm_1"), item("itm_2"), item("itm_3"))
    for _ in range(2):
        _, found = copied.source_of(lambda v: shown.menu(v, "sto_1"))
        assert [one["item_id"] for one in found["items"]] == ["itm_1", "itm_2", "itm_3"]


def test_a_rewind_leaves_the_copy_in_step(copied: Copied) -> None:
    copied.tell(item("itm_1"), stock("itm_1", "5", "l-1"))
    generation = of(copied)[1].generation
    copied.scene.write(views.rewind)
    copied.scene.projector.step()
    copied.scene.run()
    copied.copier.step()
    assert of(copied)[1].generation == generation
    assert copied.source_of(lambda v: shown.menu(v, "sto_1"))[0] == "copy"


def test_a_comparison_tells_of_what_the_copy_has_otherwise(copied: Copied) -> None:
    copied.tell(item("itm_1"), stock("itm_1", "5", "l-1"))
    rebuilt(copied)
    assert compared(copied) == (2, 2, 0)
    copy, head = of(copied)
    key = EntityKey("catalogue", "north", "sto_1", "item", "itm_1")
    wrong = Entity(key, "mer_1", "sto_1", {"name": "Wrong"}, {}, {}, True, "", 99)
    copy.put(head, list(values_of(wrong)), [Advance(0, 0, 0)])
    assert compared(copied) == (2, 2, 1)


def of(copied: Copied) -> tuple[ViewCopy, Any]:
    copy = ViewCopy(copied.url, copied.scene.write(copied_views.mark_of))
    return copy, copy.head()


def rebuilt(copied: Copied) -> None:
    recopying.rebuild(copied.url, transaction(copied), transaction(copied), plain)


def compared(copied: Copied) -> tuple[int, ...]:
    return tuple(recopying.compare(copied.url, transaction(copied), plain))


def transaction(copied: Copied) -> Any:
    @contextmanager
    def begun() -> Iterator[Connection]:
        with copied.scene.database.engine.connect() as connection, connection.begin():
            yield connection

    return begun


@contextmanager
def plain(rows: Any) -> Iterator[Any]:
    yield rows
