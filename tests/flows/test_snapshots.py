"""Snapshots from a webhook to the Retire commands, on a store of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.messages import Request
from flows.service import Service
from flows.settings import Settings
from stores import tables
from stores.outbox import unpack
from tests.flows.scenery import TOKEN, add_connection, database, deliveries_of, ledger_difference

PROVIDER = """
spec: tiffin/v1
provider: shelf
title: Shelf
family: erp
revision: 1
evidence: assumed
defaults: {currency: INR}
auth: {scheme: token, header: X-Key, secret: token}
unmapped: {store: create}
per_store: [item, variant]
feeds:
  menu:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands:
      items:
        command: UpsertMenuItem
        each: items
        when: $not(hidden = true)
        snapshot: {within: store, when: full = true, guard: 50%}
        EMIT
        fields: {item_id: sku, name: name, source_time: $$.at}
        check:
          priced: {that: $not(bad = true), say: it is marked as bad}
        commands:
          variants:
            command: UpsertVariant
            each: variants
            snapshot: {within: item, guard: 100%}
            fields: {variant_id: vid, item_id: VARIANT_ITEM, name: name}
"""


class Shelf:
    """A data folder with a connection, into which payloads are delivered one by one."""

    def __init__(self, folder: Path, emit: str = "", apart: bool = False, **options: Any) -> None:
        self._apart = apart
        providers = folder / "providers"
        providers.mkdir()
        text = PROVIDER.replace("        EMIT\n", f"        {emit}\n" if emit else "")
        text = text.replace("        when: $not(hidden", "        let: {owner: sku}\n        when: $not(hidden")
        (providers / "shelf.yaml").write_text(text.replace("VARIANT_ITEM", "$owner"))
        self.settings = Settings(_env_file=None, data=folder / "data", providers=providers)
        add_connection(self.settings, "shelf", "c", secrets={"token": TOKEN}, **options)
        self._now = datetime(2026, 3, 1, 10, tzinfo=UTC)
        self._ids = 0

    def run(self, work: Callable[[Service], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            service = Service(self.settings, apart=self._apart)
            await service.start()
            try:
                return await work(service)
            finally:
                await service.stop()

        return asyncio.run(main())

    def send(self, *skus: str | dict[str, Any], full: Any = True, shop: str = "s1", **more: Any) -> str:
        """The delivery's state once it is answered."""
        self._ids += 1
        items = [one if isinstance(one, dict) or one is None else {"sku": one, "name": f"Dish {one}"} for one in skus]
        document = {"id": f"e{self._ids}", "shop": shop, "full": full, "items": items, **more}
        self._now += timedelta(seconds=1)

        async def deliver(service: Service) -> None:
            body = json.dumps(document).encode()
            headers = ((b"x-key", TOKEN.encode()), (b"content-type", b"application/json"))
            target = service.receiver.target("erp", "shelf", "c", "POST", "menu")
            path = "/v1/integrations/erp/shelf/c/c/menu"
            request = Request("POST", path, path, (), headers, body, "192.0.2.1", self._now)
            self.reply = await service.receiver.receive(target, request)

        self.run(deliver)
        return deliveries_of(self.settings)[-1].state

    def accept(self, delivery: str) -> Any:
        return self.run(lambda service: service.replay.accept(delivery))

    def replay(self, delivery: str) -> Any:
        return self.run(lambda service: service.replay.one(delivery))

    def last(self) -> str:
        return deliveries_of(self.settings)[-1].id

    def commands(self) -> list[tuple[str, str]]:
        """(name, external id) of every command on the log, in order."""
        with database(self.settings) as transaction:
            kinds = tables.mappings.c
            rows = transaction.execute(select(kinds.canonical_id, kinds.external_id))
            named = {canonical: external for canonical, external in rows}  # noqa: C416 a result is no mapping
        from bus import EmbeddedLog

        log = EmbeddedLog(self.settings.data / "bus.db")
        found = [json.loads(one.value) for one in log.read("catalog.commands", 0, 10_000)]
        log.close()
        waiting = []
        with database(self.settings) as transaction:
            o = tables.outbox.c
            for data, count in transaction.execute(
                select(o.data, o.count).where(o.topic == "catalog.commands").order_by(o.id)
            ):
                waiting += [json.loads(event) for event in unpack(data, count)]
        known = {event["id"] for event in found}
        found += [event for event in waiting if event["id"] not in known]
        return [(event["type"].split(".")[1], named.get(event["subject"], "")) for event in found]

    def retired(self) -> list[str]:
        return [external for name, external in self.commands() if name == "Retire"]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_the_first_snapshot_retires_nothing_and_the_next_what_is_absent(shelf: Shelf) -> None:
    assert shelf.send("a", "b", "c") == "accepted"
    assert shelf.retired() == []
    assert shelf.send("a", "c") == "accepted"
    assert shelf.retired() == ["b"]
    assert shelf.send("a", "c") == "accepted"
    assert shelf.retired() == ["b"]
    assert ledger_difference(shelf.settings) == 0


def test_what_a_partial_payload_told_of_is_absent_from_a_later_snapshot(shelf: Shelf) -> None:
    shelf.send("a", "b")
    shelf.send("c", full=False)
    assert shelf.retired() == []
    shelf.send("a", "b")
    assert shelf.retired() == ["c"]


def test_present_are_also_elements_that_when_or_a_check_reject(shelf: Shelf) -> None:
    shelf.send("a", "b", "c")
    state = shelf.send("a", {"sku": "b", "hidden": True}, {"sku": "c", "bad": True})
    assert (state, shelf.retired()) == ("partial", [])


@pytest.mark.parametrize("unreadable", [{"name": "no id"}, {"sku": ""}, {"sku": None}, {"sku": {"x": "y"}}])
def test_an_element_without_a_readable_id_keeps_everything_from_being_retired(shelf: Shelf, unreadable: Any) -> None:
    shelf.send("a", "b")
    shelf.send("a", unreadable)
    assert shelf.retired() == []


def test_an_older_snapshot_by_the_sources_time_is_stale(shelf: Shelf) -> None:
    shelf.send("a", "b", at="2026-03-01T10:00:00Z")
    shelf.send("a", "b", "c", at="2026-03-01T12:00:00Z")
    assert shelf.send("a", at="2026-03-01T11:00:00Z") == "stale"
    assert shelf.retired() == []


def test_a_replay_of_an_overtaken_snapshot_retires_nothing(shelf: Shelf) -> None:
    shelf.send("a", "b")
    old = shelf.last()
    shelf.send("a", "b", "c")
    assert shelf.replay(old).verdict == "stale"
    assert shelf.retired() == []


def test_a_snapshot_of_one_store_leaves_the_other_alone(shelf: Shelf) -> None:
    shelf.send("a", "b", shop="s1")
    shelf.send("x", shop="s2")
    shelf.send("x", "y", shop="s2")
    assert shelf.retired() == []


def test_a_snapshot_of_1_item_after_300_waits_and_retires_what_is_absent_when_it_is_accepted(shelf: Shelf) -> None:
    everything = [f"i{n}" for n in range(300)]
    shelf.send(*everything)
    assert shelf.send("i0") == "parked"
    assert len(shelf.commands()) == 300
    waiting = deliveries_of(shelf.settings)[-1]
    assert waiting.codes == ["snapshot_guard"]
    assert "299 of 300" in json.loads(shelf.reply.body)["failures"][0]["message"]
    shelf.send("late", full=False)
    found = shelf.accept(waiting.id)
    assert (found.verdict, found.commands) == ("accepted", 301)
    assert sorted(shelf.retired()) == sorted([*everything[1:], "late"])
    assert shelf.accept(waiting.id).commands == 0
    assert ledger_difference(shelf.settings) == 0


def test_a_writer_process_of_its_own_compares_and_retires_just_the_same(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, apart=True)
    shelf.send("a", "b", "c", "d")
    assert shelf.send("a", "b", "c") == "accepted"
    assert shelf.retired() == ["d"]
    assert shelf.send("a") == "parked"
    found = shelf.accept(shelf.last())
    assert (found.verdict, found.commands) == ("accepted", 3)
    assert sorted(shelf.retired()) == ["b", "c", "d"]
    assert ledger_difference(shelf.settings) == 0


def test_a_parked_snapshot_that_a_newer_one_has_overtaken_is_stale_when_it_is_accepted(shelf: Shelf) -> None:
    shelf.send("a", "b", "c")
    shelf.send("a")
    waiting = shelf.last()
    shelf.send("a", "b", "c", "d")
    assert shelf.accept(waiting).verdict == "stale"
    assert shelf.retired() == []


def test_an_empty_snapshot_is_explained_and_waits_where_there_was_something(shelf: Shelf) -> None:
    assert shelf.send() == "accepted"
    shelf.send("a")
    assert shelf.send() == "parked"


def test_a_payload_that_is_no_snapshot_and_gives_nothing_is_parked(shelf: Shelf) -> None:
    assert shelf.send(full=False) == "parked"
    assert deliveries_of(shelf.settings)[-1].codes == ["nothing_emitted"]


def test_what_comes_back_after_it_was_retired_is_told_and_can_be_retired_again(shelf: Shelf) -> None:
    shelf.send("a", "b", "c")
    shelf.send("a", "b")
    shelf.send("a", "b", "c")
    shelf.send("a", "b")
    assert shelf.retired() == ["c", "c"]


def variants(sku: str, *ids: str) -> dict[str, Any]:
    return {"sku": sku, "name": sku, "variants": [{"vid": id, "name": id} for id in ids]}


def test_a_snapshot_within_an_item_retires_that_items_variants_alone(shelf: Shelf) -> None:
    shelf.send(variants("a", "a1", "a2"), variants("b", "b1"))
    shelf.send(variants("a", "a2"), variants("b"), full=False)
    assert sorted(shelf.retired()) == ["a1", "b1"]


def test_a_connection_of_other_stores_retires_nothing_in_this_one(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.send("a", "b")
    add_connection(shelf.settings, "shelf", "narrow", secrets={"token": TOKEN}, stores=("another",))
    body = json.dumps({"id": "odd", "shop": "s1", "full": True, "items": [{"sku": "a", "name": "a"}]}).encode()

    async def deliver(service: Service) -> None:
        target = service.receiver.target("erp", "shelf", "narrow", "POST", "menu")
        now = datetime(2026, 3, 2, tzinfo=UTC)
        headers = ((b"x-key", TOKEN.encode()),)
        await service.receiver.receive(target, Request("POST", "/x", "/x", (), headers, body, "192.0.2.1", now))

    shelf.run(deliver)
    assert deliveries_of(shelf.settings)[-1].codes == ["scope_not_allowed"]
    assert shelf.retired() == []


def test_emit_changed_tells_only_what_is_new(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, emit="emit: changed")
    shelf.send("a", "b", at="2026-03-01T10:00:00Z")
    assert shelf.send("a", {"sku": "b", "name": "New"}, "c", at="2026-03-01T11:00:00Z") == "accepted"
    assert shelf.commands() == [(("UpsertMenuItem", sku)) for sku in ("a", "b", "b", "c")]
    assert shelf.send("a", {"sku": "b", "name": "New"}, "c", at="2026-03-01T12:00:00Z") == "accepted"
    assert len(shelf.commands()) == 4
    shelf.send("a", "b", "c", at="2026-03-01T13:00:00Z")
    assert shelf.commands()[-1] == ("UpsertMenuItem", "b")
