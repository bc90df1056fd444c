"""The projection on a database and an embedded log of its own."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sqlalchemy import Connection, delete, func, select, update

import schemas
from bus import BusUnavailable, EmbeddedLog, Message
from bus.consumers import LogConsumer
from engine.views import Entity, EntityKey
from flows.logging import logger
from flows.project import ProjectionPace, Projector
from flows.rebuild import LogTruncated, Rebuilt, rebuild
from flows.turns import Turn
from stores import outbox, views
from stores.database import open_database
from stores.schema import migrate
from stores.tables import entities, projections
from stores.tables import outbox as outbox_table

TOPIC = "catalog.commands"
AT = "2026-03-01T10:00:00Z"


class Scene:
    """A database, a log and a projector between them."""

    def __init__(self, folder: Path, commands: int = 500) -> None:
        self.database = open_database(f"sqlite:///{folder / 'tiffin.db'}")
        migrate(self.database)
        self.log = EmbeddedLog(folder / "bus.db")
        self.projector = self.another(commands)

    def another(self, commands: int = 500, log: Any = None, turn: Turn | None = None) -> Projector:
        return Projector(
            open_consumer=lambda start: LogConsumer(log or self.log, TOPIC, start),
            read=self.read, write=self.write, clock=lambda: datetime(2026, 3, 1, tzinfo=UTC), jitter=random.random,
            log=logger("test"), pace=ProjectionPace(commands=commands, first_backoff=0.01), turn=turn,
        )  # fmt: skip

    def read(self, job: Callable[[Connection], Any]) -> Any:
        with self.database.engine.connect() as connection:
            return job(connection)

    def write(self, job: Callable[[Connection], Any]) -> Any:
        with self.database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            return job(connection)

    def publish(self, *commands: dict[str, Any]) -> None:
        reports = self.log.publish(TOPIC, [message(one) for one in commands])
        assert reports == [None] * len(commands)

    def run(self) -> None:
        while self.projector.step():
            pass

    def tell(self, *commands: dict[str, Any]) -> None:
        self.publish(*commands)
        self.run()

    def events(self) -> list[dict[str, Any]]:
        """Every event in the outbox, oldest first. Each holds what its schema and its topic promise."""
        rows, unreadable = self.read(lambda c: outbox.pending(c, range(64), 100_000, 1 << 30))
        assert not unreadable
        events = [orjson.loads(event) | {"topic": row.topic} for row in rows for event in row.events]
        for event in events:
            schema = schemas.schema(f"events/{event['type'].split('.')[1]}.v1")
            Draft202012Validator(schema).validate(event["data"])
            assert (event["topic"], event["dataschema"]) == (schema["x-topic"], schema["$id"])
        return events

    def names(self) -> list[str]:
        return [event["type"].split(".")[1] for event in self.events()]

    def entity(self, view: str, kind: str, id: str, owner: str = "sto_1") -> Entity:
        key = EntityKey(view, "north", owner, kind, id)  # type: ignore[arg-type]
        return self.read(lambda c: views.load(c, [key]))[key]

    def hash(self) -> str:
        return self.read(views.view_hash)

    def close(self) -> None:
        self.projector.close()
        self.log.close()
        self.database.close()


@contextmanager
def opened(folder: Path, commands: int = 500) -> Iterator[Scene]:
    made = Scene(folder, commands)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with opened(tmp_path) as made:
        yield made


def command(
    command_name: str, id: str, /, *, key: str = "", time: str = AT, store: str = "sto_1", **data: Any
) -> dict[str, Any]:
    owner = {"merchant_id": "mer_1", **({"store_id": store} if store else {})}
    return {
        "specversion": "1.0",
        "id": id,
        "type": f"tiffin.{command_name}.v1",
        "source": "/tenants/north/providers/acme/feeds/menu",
        "subject": "x",
        "time": time,
        "datacontenttype": "application/json",
        "partitionkey": f"north/{store or 'mer_1'}",
        "tenant": "north",
        "deliveryid": "d" * 32,
        "specrevision": 1,
        "commandkey": key or f"key-{id}",
        "data": {**owner, **data},
    }


def message(event: dict[str, Any]) -> Message:
    return Message(event["id"], event["partitionkey"].encode(), orjson.dumps(event))


def rupees(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "INR"}


def pieces(amount: str) -> dict[str, str]:
    return {"amount": amount, "unit": "each"}


# ---- what becomes of commands -----------------------------------------------------------------------------


def test_an_item_becomes_an_entity_and_its_events_go_to_their_topics(scene: Scene) -> None:
    scene.tell(
        command("UpsertMenuItem", "c1", item_id="itm_1", name="Idli", price=rupees("40.00"), available=True),
    )
    item = scene.entity("catalogue", "item", "itm_1")
    assert item.fields["name"] == "Idli"
    assert scene.entity("availability", "item", "itm_1").fields["sellable"] is True
    assert {(e["topic"], e["type"].split(".")[1]) for e in scene.events()} == {
        ("catalog.events", "ItemChanged"),
        ("pricing.events", "PriceChanged"),
        ("inventory.events", "AvailabilityChanged"),
    }


def test_a_price_event_says_the_old_and_the_new_price(scene: Scene) -> None:
    scene.tell(
        command("UpdatePrice", "c1", item_id="itm_1", price=rupees("40.00")),
        command("UpdatePrice", "c2", item_id="itm_1", price=rupees("45.00")),
        command("UpdatePrice", "c3", item_id="itm_1", price=rupees("45.00")),
    )
    told = [(event["data"]["old"], event["data"]["new"]) for event in scene.events()]
    assert told == [
        (None, {"price": rupees("40.00")}),
        ({"price": rupees("40.00")}, {"price": rupees("45.00")}),
    ]


def test_a_price_of_one_channel_leaves_the_price_of_all_alone(scene: Scene) -> None:
    scene.tell(
        command("UpdatePrice", "c1", item_id="itm_1", price=rupees("40.00")),
        command("UpdatePrice", "c2", item_id="itm_1", price=rupees("48.00"), channel="app"),
    )
    fields = scene.entity("catalogue", "item", "itm_1").fields
    assert (fields["price"], fields["price@app"]) == (rupees("40.00"), rupees("48.00"))
    assert [event["data"].get("channel") for event in scene.events()] == [None, "app"]


def test_what_is_told_of_an_unseen_item_is_kept_and_stands_when_the_item_comes(scene: Scene) -> None:
    scene.tell(command("UpdatePrice", "c1", item_id="itm_1", price=rupees("40.00")))
    assert scene.entity("catalogue", "item", "itm_1").seen is False
    scene.tell(command("UpsertMenuItem", "c2", item_id="itm_1", name="Idli"))
    item = scene.entity("catalogue", "item", "itm_1")
    assert (item.seen, item.fields["price"], item.fields["name"]) == (True, rupees("40.00"), "Idli")
    assert scene.names() == ["PriceChanged", "ItemChanged"]


def test_an_absent_field_is_unchanged_and_null_clears_it(scene: Scene) -> None:
    scene.tell(
        command("UpsertMenuItem", "c1", item_id="itm_1", name="Idli", description="Soft"),
        command("UpsertMenuItem", "c2", item_id="itm_1", description=None),
    )
    assert scene.entity("catalogue", "item", "itm_1").shown() == {"name": "Idli"}
    assert scene.events()[-1]["data"]["changed"] == ["description"]


def test_addons_of_a_group_are_entities_of_their_own(scene: Scene) -> None:
    scene.tell(
        command("UpsertAddonGroup", "c1", addon_group_id="agr_1", name="Dips",
                addons=[{"addon_id": "add_1", "name": "Mint", "price": rupees("5.00"), "available": True}]),
        command("UpdateItemAvailability", "c2", addon_id="add_1", available=False),
    )  # fmt: skip
    assert scene.entity("catalogue", "addon_group", "agr_1").fields["addon_ids"] == ["add_1"]
    assert scene.entity("catalogue", "addon", "add_1").fields["price"] == rupees("5.00")
    assert scene.entity("availability", "addon", "add_1").fields["sellable"] is False


def test_a_store_status_holds_for_its_channel_and_a_new_one_ends_what_was_said_before(scene: Scene) -> None:
    scene.tell(
        command("UpdateStoreStatus", "c1", status="closed", until="2026-03-01T18:00:00Z", reason="rain"),
        command("UpdateStoreStatus", "c2", status="busy", channel="app"),
        command("UpdateStoreStatus", "c3", status="open"),
    )
    fields = scene.entity("catalogue", "store", "sto_1").fields
    assert (fields["status"], fields["status@app"]) == ({"status": "open"}, {"status": "busy"})
    assert scene.names() == ["StoreStatusChanged"] * 3


def test_an_order_keeps_its_rider_when_a_later_status_names_none(scene: Scene) -> None:
    scene.tell(
        command("UpdateOrderStatus", "c1", order_id="ord_1", status="dispatched", rider_name="Asha"),
        command("UpdateOrderStatus", "c2", order_id="ord_1", status="delivered"),
    )
    fields = scene.entity("catalogue", "order", "ord_1").fields
    assert (fields["status"], fields["rider_name"]) == ("delivered", "Asha")
    assert [event["data"]["old"] for event in scene.events()] == [None, "dispatched"]


def test_a_retired_item_is_told_once_and_comes_back_with_its_next_upsert(scene: Scene) -> None:
    scene.tell(
        command("UpsertMenuItem", "c1", item_id="itm_1", name="Idli"),
        command("Retire", "c2", item_id="itm_1"),
        command("Retire", "c3", item_id="itm_1"),
    )
    assert scene.entity("catalogue", "item", "itm_1").retired
    scene.tell(command("UpsertMenuItem", "c4", item_id="itm_1", name="Idli"))
    assert not scene.entity("catalogue", "item", "itm_1").retired
    assert scene.names() == ["ItemChanged", "Retired", "ItemChanged"]


def test_a_message_that_is_no_command_is_passed_over_and_counted(scene: Scene) -> None:
    scene.log.publish(TOPIC, [Message("odd", b"k", b'{"id":"odd","type":"tiffin.UpdatePrice.v1","data":5}')])
    scene.tell(command("UpdatePrice", "c1", item_id="itm_1", price=rupees("1.00")))
    assert scene.projector.health.results == {"unreadable": 1, "applied": 1}


# ---- quantities -------------------------------------------------------------------------------------------


def quantity(scene: Scene) -> Any:
    return scene.entity("availability", "variant", "var_1").fields.get("quantity")


def level(id: str, amount: str, **more: Any) -> dict[str, Any]:
    return command("UpdateStockLevel", id, variant_id="var_1", quantity=pieces(amount), **more)


def movement(id: str, amount: str, **more: Any) -> dict[str, Any]:
    return command("RecordStockMovement", id, variant_id="var_1", quantity=pieces(amount), reason="sale", **more)


def test_a_quantity_is_unknown_until_the_first_level_and_moves_from_there(scene: Scene) -> None:
    scene.tell(movement("c1", "-2"))
    assert quantity(scene) is None
    scene.tell(level("c2", "10"))
    assert quantity(scene) == pieces("10")
    scene.tell(movement("c3", "-3"), movement("c4", "1.5"))
    assert quantity(scene) == pieces("8.5")
    told = [(e["data"]["old"], e["data"]["new"]) for e in scene.events() if "StockLevel" in e["type"]]
    assert told == [(None, pieces("10")), (pieces("10"), pieces("7")), (pieces("7"), pieces("8.5"))]


def test_movements_later_than_a_level_by_the_sources_times_count_on_top_of_it(scene: Scene) -> None:
    scene.tell(
        movement("c1", "-2", occurred_at="2026-03-01T09:00:00Z"),
        movement("c2", "-1", occurred_at="2026-03-01T07:00:00Z"),
        level("c3", "10", source_time="2026-03-01T08:00:00Z"),
    )
    assert quantity(scene) == pieces("8")


def test_a_corrected_replay_of_a_movement_replaces_it(scene: Scene) -> None:
    scene.tell(level("c1", "10"), movement("c2", "-3", key="k"), movement("c3", "-1"))
    scene.tell(movement("c4", "-2", key="k"))
    assert quantity(scene) == pieces("7")


def test_batches_add_up_where_no_level_is_told_for_the_whole_item(scene: Scene) -> None:
    scene.tell(level("c1", "4", batch="b1"), level("c2", "6", batch="b2"), movement("c3", "-1", batch="b2"))
    assert quantity(scene) == pieces("9")


def test_units_that_do_not_match_make_the_quantity_unknown(scene: Scene) -> None:
    scene.tell(level("c1", "10"))
    odd = movement("c2", "-1")
    odd["data"]["quantity"] = {"amount": "-1", "unit": "kg"}
    scene.tell(odd)
    assert quantity(scene) is None


def test_an_item_without_a_word_on_availability_can_be_sold_while_there_is_some(scene: Scene) -> None:
    scene.tell(level("c1", "1"), movement("c2", "-1"))
    entity = scene.entity("availability", "variant", "var_1")
    assert entity.fields["sellable"] is False
    scene.tell(command("UpdateItemAvailability", "c3", variant_id="var_1", available=True))
    assert scene.entity("availability", "variant", "var_1").fields["sellable"] is True


def test_more_movements_than_are_kept_still_add_up(scene: Scene) -> None:
    scene.tell(level("c0", "1000"), *[movement(f"m{n}", "-1") for n in range(450)])
    assert quantity(scene) == pieces("550")


# ---- order ------------------------------------------------------------------------------------------------


def test_a_corrected_replay_overtakes_its_own_earlier_attempt_and_nothing_newer(scene: Scene) -> None:
    scene.tell(
        command("UpsertMenuItem", "c1", key="k", item_id="itm_1", name="Idly", rank=1),
        command("UpsertMenuItem", "c2", item_id="itm_1", rank=2),
        command("UpsertMenuItem", "c3", key="k", item_id="itm_1", name="Idli", rank=9, brand="South"),
    )
    shown = scene.entity("catalogue", "item", "itm_1").shown()
    assert shown == {"name": "Idli", "rank": 2, "brand": "South"}


def test_an_older_update_by_the_sources_version_changes_nothing_and_is_recorded(scene: Scene) -> None:
    scene.tell(
        command("UpdatePrice", "c1", item_id="itm_1", price=rupees("9.00"), source_version="10"),
        command("UpdatePrice", "c2", item_id="itm_1", price=rupees("8.00"), source_version="9"),
    )
    assert scene.entity("catalogue", "item", "itm_1").fields["price"] == rupees("9.00")
    assert scene.projector.health.results["stale"] == 1
    assert scene.read(lambda c: views.result_of(c, "c2", "key-c2")) == "stale"


def test_an_older_update_by_the_sources_time_changes_nothing(scene: Scene) -> None:
    scene.tell(
        command("UpdatePrice", "c1", item_id="itm_1", price=rupees("9.00"), source_time="2026-03-01T10:00:00.5Z"),
        command("UpdatePrice", "c2", item_id="itm_1", price=rupees("8.00"), source_time="2026-03-01T10:00:00Z"),
        command("UpdatePrice", "c3", item_id="itm_2", price=rupees("7.00"), source_time="2026-03-01T09:00:00Z"),
    )
    assert scene.entity("catalogue", "item", "itm_1").fields["price"] == rupees("9.00")
    assert scene.entity("catalogue", "item", "itm_2").fields["price"] == rupees("7.00")


def test_rewinding_twice_ends_in_the_same_views_and_emits_nothing(scene: Scene) -> None:
    scene.tell(*LIST)
    before, events = scene.hash(), len(scene.events())
    for _ in range(2):
        scene.write(views.rewind)
        again = scene.another()
        while again.step():
            pass
        assert again.health.results == {"repeated": len(LIST)}
    assert (scene.hash(), len(scene.events())) == (before, events)


def test_a_rewind_under_a_running_projector_voids_its_round_alone(scene: Scene) -> None:
    scene.tell(*LIST[:4])
    scene.write(views.rewind)
    scene.publish(*LIST[4:])
    with pytest.raises(views.Moved):
        scene.projector.step()
    scene.run()
    assert scene.read(views.offsets) == {0: len(LIST)}


def test_an_idle_projector_notices_a_rewind(scene: Scene) -> None:
    scene.tell(*LIST)
    scene.write(views.rewind)
    assert scene.projector.step() == 0
    assert scene.projector.step() == len(LIST)
    assert scene.projector.health.results["repeated"] == len(LIST)


def test_two_projectors_on_one_partition_apply_each_command_once(scene: Scene) -> None:
    other = scene.another()
    scene.tell(*LIST)
    other.step()
    scene.publish(command("UpdatePrice", "late", item_id="itm_1", price=rupees("77.00")))
    other.step()
    with pytest.raises(views.Moved):
        scene.projector.step()
    scene.run()
    ids = [event["id"] for event in scene.events()]
    assert len(ids) == len(set(ids))


def test_view_mark_offset_and_event_stand_together_or_not_at_all(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.publish(*LIST)

    def full(*_: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(views, "put_events", full)
        with pytest.raises(OSError, match="disk full"):
            scene.projector.step()
    assert scene.read(views.offsets) == {}
    assert scene.read(lambda c: c.scalar(select(func.count()).select_from(projections))) == 0
    scene.run()
    assert scene.read(views.offsets) == {0: len(LIST)}


class Flaky:
    """A log that is away for the first few reads."""

    def __init__(self, log: EmbeddedLog, times: int) -> None:
        self._log, self.times = log, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def read(self, *arguments: Any) -> Any:
        if self.times:
            self.times -= 1
            raise BusUnavailable("away")
        return self._log.read(*arguments)


def test_a_running_projection_survives_a_bus_that_is_away_for_a_while(scene: Scene) -> None:
    scene.publish(*LIST)
    projector = scene.another(log=Flaky(scene.log, 3))
    told = threading.Event()
    write = projector._write

    def writing(job: Callable[[Connection], Any]) -> Any:
        try:
            return write(job)
        finally:
            told.set()

    projector._write = writing  # type: ignore[method-assign]
    projector.start()
    assert told.wait(30)
    assert projector.stop(30)
    assert scene.read(views.offsets) == {0: len(LIST)}
    assert projector.health.state == "stopped"


# ---- any order, any number of times ----------------------------------------------------------------------

LIST = [
    command("UpsertMenuItem", "a1", item_id="itm_1", name="Idli", price=rupees("40.00"), available=True),
    command("UpdatePrice", "a2", item_id="itm_1", price=rupees("42.00"), key="k1"),
    level("a3", "10"),
    movement("a4", "-2", key="k2"),
    command("UpdateItemAvailability", "a5", item_id="itm_1", available=False),
    command("UpdatePrice", "a6", item_id="itm_1", price=rupees("41.00"), key="k1"),
    command("Retire", "a7", item_id="itm_1"),
    movement("a8", "-3", key="k2"),
    command("UpdateStoreStatus", "a9", status="closed"),
]
OTHER = [{**one, "id": f"b{one['id']}", "commandkey": f"b{one['commandkey']}", "partitionkey": "north/sto_2",
          "data": {**one["data"], "store_id": "sto_2"}} for one in LIST]  # fmt: skip


class Doubled(EmbeddedLog):
    """A log that keeps a message that is published twice, as Kafka may."""

    def publish(self, topic: str, messages: Any) -> Any:
        at = self.end_offset(topic)
        stored = [message._replace(id=f"{at + n}") for n, message in enumerate(messages)]
        return super().publish(topic, stored)


def told(folder: Path, commands: list[dict[str, Any]], at_once: int) -> str:
    with opened(folder, at_once) as scene:
        scene.log.close()
        scene.log = Doubled(folder / "bus.db")
        scene.projector = scene.another(at_once)
        scene.tell(*commands)
        return scene.hash()


@settings(max_examples=25)
@given(data=st.data())
def test_any_interleaving_and_repetition_of_the_commands_gives_the_same_views(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    left, right, mixed = list(LIST), list(OTHER), []
    while left or right:
        source = left if (left and (not right or data.draw(st.booleans()))) else right
        mixed.append(source.pop(0))
        mixed += data.draw(st.lists(st.sampled_from(mixed), max_size=2))
    at_once = data.draw(st.integers(1, 40))
    plain = told(tmp_path_factory.mktemp("plain"), LIST + OTHER, 500)
    assert told(tmp_path_factory.mktemp("mixed"), mixed, at_once) == plain


def test_the_outbox_rows_of_events_are_no_part_of_the_commands_count(scene: Scene) -> None:
    scene.tell(*LIST)
    assert scene.events()
    assert scene.read(outbox.counts)[:2] == (0, 0)
    ids = [row.id for row in scene.read(lambda c: outbox.pending(c, range(64), 9, 1 << 30)[0])]
    scene.write(lambda c: outbox.mark_published(c, ids, datetime.now(UTC)))
    assert scene.read(outbox.counts)[4:] == (0, 0)
    assert scene.write(lambda c: c.execute(update(outbox_table).values(attempt=0)).rowcount) == 0


# ---- rebuilding ---------------------------------------------------------------------------------------------


def rebuilt(scene: Scene, folder: Path, replace: bool = True) -> Rebuilt:
    @contextmanager
    def reading() -> Iterator[Connection]:
        with scene.database.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing() -> Iterator[Connection]:
        with scene.database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            yield connection

    return rebuild(scene.log, folder, reading, writing, replace=replace)


def test_a_rebuild_finds_the_views_as_the_log_gives_them_and_emits_nothing(scene: Scene, tmp_path: Path) -> None:
    scene.tell(*LIST, *OTHER)
    events = len(scene.events())
    found = rebuilt(scene, tmp_path)
    assert (found.same, found.replaced, found.commands) == (True, False, len(LIST + OTHER))
    assert (found.log, len(scene.events())) == (scene.hash(), events)


def test_a_rebuild_mends_views_that_are_not_what_the_log_says(scene: Scene, tmp_path: Path) -> None:
    scene.tell(*LIST)
    good = scene.hash()
    scene.write(lambda c: c.execute(delete(entities).where(entities.c.kind == "store")))
    scene.write(lambda c: c.execute(update(entities).values(changed_at="")))
    assert rebuilt(scene, tmp_path, replace=False).replaced is False
    assert scene.hash() != good
    assert rebuilt(scene, tmp_path).replaced is True
    assert scene.hash() == good
    scene.tell(command("UpdatePrice", "later", item_id="itm_1", price=rupees("50.00")))
    assert scene.entity("catalogue", "item", "itm_1").fields["price"] == rupees("50.00")


class Truncated(Flaky):
    def read(self, topic: str, offset: int, *rest: Any) -> Any:
        return [one._replace(offset=one.offset + 7) for one in self._log.read(topic, 0, *rest)]


def test_a_log_whose_beginning_is_gone_is_not_rebuilt_from(scene: Scene, tmp_path: Path) -> None:
    scene.tell(*LIST)
    scene.log = Truncated(scene.log, 0)  # type: ignore[assignment]
    with pytest.raises(LogTruncated, match="offset 7"):
        rebuilt(scene, tmp_path)


# ---- several processes on a bus that does not share its partitions out ----


def turn(scene: Scene, owner: str, now: list[datetime]) -> Turn:
    return Turn("views", owner, scene.read, scene.write, lambda: now[0])


def test_of_two_projectors_one_has_the_turn_and_the_other_reads_on_where_it_ended(scene: Scene) -> None:
    now = [datetime(2026, 3, 1, tzinfo=UTC)]
    one, other = (scene.another(turn=turn(scene, name, now)) for name in ("one", "other"))
    scene.publish(*LIST)
    assert (one.step(), other.step()) == (len(LIST), 0)
    one.close()
    scene.publish(*OTHER)
    assert other.step() == len(OTHER)
    assert other.health.results.get("repeated", 0) == 0


def test_the_turn_of_a_silent_projector_is_taken_over_once_its_lease_has_run_out(scene: Scene) -> None:
    now = [datetime(2026, 3, 1, tzinfo=UTC)]
    one, other = (scene.another(turn=turn(scene, name, now)) for name in ("one", "other"))
    scene.publish(*LIST)
    assert one.step() == len(LIST)
    scene.publish(*OTHER)
    now[0] += timedelta(seconds=29)
    assert other.step() == 0
    now[0] += timedelta(seconds=2)
    assert other.step() == len(OTHER)
