"""Reading commands as a group of its own: what is written of them and the offsets stand or fall together."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection

from bus.consumers import Consumer, LogConsumer, Start
from bus.kafka import KafkaBus
from bus.kafka_groups import GroupConsumer
from bus.kafka_topics import KafkaTopics
from bus.kafka_topics import Wanted as WantedTopics
from bus.log import EmbeddedLog
from bus.messages import Message, Stored
from flows.journal import Journal
from flows.refreshing import follower as module
from flows.refreshing.follower import Follower
from flows.refreshing.wanted import Rules, Wanted, what_of
from flows.service import Service
from stores import counters, reader_offsets
from tests.flows.refreshing.test_fetcher import SHOP
from tests.flows.scenery import add_connection, deliver, settings_in, started, stock

TOPIC = "catalog.commands"


def message(n: int, kind: str = "other") -> Message:
    value = {"specversion": "1.0", "id": f"e-{n}", "type": kind, "source": "/test", "data": {"n": n}}
    return Message(f"e-{n}", b"k", orjson.dumps(value))


def note(connection: Connection, found: Sequence[str]) -> None:
    counters.add_all(connection, {f"seen:{one}": 1 for one in found})


def seen(journal: Journal) -> dict[str, int]:
    found = journal.read_in_thread(counters.all_counts)
    return {name.removeprefix("seen:"): count for name, count in found.items() if name.startswith("seen:")}


async def wanted(messages: Sequence[Stored]) -> list[str]:
    return [one.id for one in messages if b'"wanted"' in one.value]


@asynccontextmanager
async def service_in(folder: Path) -> AsyncIterator[Service]:
    async with started(settings_in(folder), serving=False) as service:
        yield service


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if met():
                break
            await asyncio.sleep(0.02)


@asynccontextmanager
async def following(made: Follower) -> AsyncIterator[None]:
    task = asyncio.create_task(made.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def on_log(log: EmbeddedLog) -> Callable[[Start], Consumer]:
    return lambda start: LogConsumer(log, TOPIC, start)


def offsets(journal: Journal) -> dict[int, int]:
    return journal.read_in_thread(lambda connection: reader_offsets.offsets(connection, "fetch"))


@pytest.fixture
def log(tmp_path: Path) -> Any:
    found = EmbeddedLog(tmp_path / "bus.db")
    yield found
    found.close()


def test_what_is_wanted_is_written_once_and_the_reading_goes_on_from_there(
    tmp_path: Path, log: EmbeddedLog, everywhere: str
) -> None:
    async def body() -> None:
        async with service_in(tmp_path) as service:
            log.publish(TOPIC, [message(1), message(2, "wanted"), message(3)])
            async with following(Follower("fetch", on_log(log), service.journal, wanted, note)):
                await until(lambda: seen(service.journal) == {"e-2": 1})
            log.publish(TOPIC, [message(4, "wanted")])
            async with following(Follower("fetch", on_log(log), service.journal, wanted, note)):
                await until(lambda: "e-4" in seen(service.journal))
            assert seen(service.journal) == {"e-2": 1, "e-4": 1}
            assert offsets(service.journal) == {0: 4}

    asyncio.run(body())


def test_of_two_readers_of_one_log_one_writes(tmp_path: Path, log: EmbeddedLog, everywhere: str) -> None:
    async def body() -> None:
        async with service_in(tmp_path) as service:
            readers = [Follower("fetch", on_log(log), service.journal, wanted, note) for _ in range(3)]
            async with following(readers[0]), following(readers[1]), following(readers[2]):
                for n in range(20):
                    log.publish(TOPIC, [message(n, "wanted")])
                    await asyncio.sleep(0)
                await until(lambda: len(seen(service.journal)) == 20)
            assert set(seen(service.journal).values()) == {1}

    asyncio.run(body())


def test_a_batch_that_cannot_be_written_is_taken_again(tmp_path: Path, log: EmbeddedLog) -> None:
    broken = threading.Event()

    def once(connection: Connection, found: Sequence[str]) -> None:
        note(connection, found)
        if not broken.is_set():
            broken.set()
            raise RuntimeError("the store is full")

    async def body() -> None:
        async with service_in(tmp_path) as service:
            log.publish(TOPIC, [message(1, "wanted")])
            async with following(Follower("fetch", on_log(log), service.journal, wanted, once)):
                await until(lambda: seen(service.journal) == {"e-1": 1})

    asyncio.run(body())


def test_what_is_of_no_interest_costs_a_write_only_now_and_then(
    tmp_path: Path, log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(noted: int) -> dict[int, int]:
        monkeypatch.setattr(module, "_NOTE_MESSAGES", noted)
        async with service_in(tmp_path) as service:
            made = Follower("fetch", on_log(log), service.journal, wanted, note)
            async with following(made):
                await until(lambda: made.taken == 30)
            return offsets(service.journal)

    log.publish(TOPIC, [message(n) for n in range(30)])
    assert asyncio.run(body(1000)) == {}
    assert asyncio.run(body(10)) == {0: 30}


def test_commands_are_read_off_kafka_by_a_group_of_its_own(tmp_path: Path, kafka_bootstrap: str) -> None:
    topic = f"fetch-{uuid.uuid4().hex[:8]}"
    KafkaTopics(kafka_bootstrap).ensure([topic], WantedTopics(2, 1, 1))
    bus = KafkaBus(kafka_bootstrap)

    def open_(start: Start) -> Consumer:
        return GroupConsumer(kafka_bootstrap, topic, topic, start)

    async def body() -> None:
        async with service_in(tmp_path) as service:
            bus.publish(topic, [message(1), message(2, "wanted")])
            async with following(Follower("fetch", open_, service.journal, wanted, note)):
                await until(lambda: seen(service.journal) == {"e-2": 1})

    try:
        asyncio.run(body())
    finally:
        bus.close()


# ---- which commands are wanted ----


def refresh(delivery: str, **changes: Any) -> Stored:
    value = {
        "specversion": "1.0",
        "id": "c-1",
        "type": "tiffin.RequestRefresh.v1",
        "source": "/tenants/north/providers/shop/feeds/events",
        "tenant": "north",
        "deliveryid": delivery,
        "data": {"merchant_id": "mer_1", "kind": "stock"},
    }
    return Stored(0, "c-1", b"k", orjson.dumps({**value, **changes}))


def wanting(tmp_path: Path, body: Callable[[Service, Wanted, str], Awaitable[None]]) -> None:
    async def main() -> None:
        settings = settings_in(tmp_path)
        (settings.providers / "shop.yaml").write_text(SHOP.replace("HOST", "https://api.shop.test"))
        add_connection(settings, "shop", "three", secrets={"token": "a-token-of-the-shop-1"})
        async with started(settings, serving=False) as service:
            await deliver(service, stock())
            rules = Rules(service.providers)
            made = Wanted(rules, service.directory, service.journal, lambda: service.attempts._clock())
            delivery = service.journal.read_in_thread(lambda c: c.exec_driver_sql("SELECT id FROM deliveries").scalar())
            await body(service, made, delivery)

    asyncio.run(main())


def test_a_command_that_a_rule_serves_is_wanted_for_the_connection_of_its_delivery(tmp_path: Path) -> None:
    async def body(service: Service, made: Wanted, delivery: str) -> None:
        (job,) = await made.commands([refresh(delivery)])
        assert (job.id, job.provider, job.connection, job.cause) == ("c-1", "shop", "one", delivery)
        assert (job.feed, job.kind, job.every) == ("events", "stock", 0)

    wanting(tmp_path, body)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "tiffin.UpdatePrice.v1"},
        {"source": "/tenants/north/providers/shop/feeds/other"},
        {"source": "/tenants/north/providers/nobody/feeds/events"},
        {"source": "shop"},
        {"source": 7},
        {"data": {"kind": "menu"}},
        {"data": {"kind": ["stock"]}},
        {"data": None},
        {"deliveryid": "unknown"},
        {"deliveryid": 7},
        {"id": None},
    ],
)
def test_another_command_is_not(tmp_path: Path, changes: dict[str, Any]) -> None:
    async def body(service: Service, made: Wanted, delivery: str) -> None:
        assert await made.commands([refresh(delivery, **changes)]) == []

    wanting(tmp_path, body)


def test_what_is_no_json_is_passed_over(tmp_path: Path) -> None:
    async def body(service: Service, made: Wanted, delivery: str) -> None:
        assert await made.commands([Stored(0, "x", b"k", b"tiffin.RequestRefresh {")]) == []

    wanting(tmp_path, body)


def test_what_is_fetched_is_named_by_all_that_tells_it_apart(tmp_path: Path) -> None:
    async def body(service: Service, made: Wanted, delivery: str) -> None:
        rule = Rules(service.providers).get("shop", "events", "stock")
        assert rule is not None
        names = [
            what_of(*given)
            for given in (
                ("north", "one", rule, ["m", None, None, None]),
                ("north", "two", rule, ["m", None, None, None]),
                ("south", "one", rule, ["m", None, None, None]),
                ("north", "one", rule, ["m", None, "7", None]),
                ("north", "one", rule, [None, "m", None, None]),
                ("north", "one", rule._replace(kind="menu"), ["m", None, None, None]),
            )
        ]
        assert len(set(names)) == len(names)

    wanting(tmp_path, body)
