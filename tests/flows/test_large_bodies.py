from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from flows.journal import objects_of
from flows.large_bodies import PAUSE, LargeBodies
from flows.service import Service
from flows.settings import Settings
from stores import payloads
from stores.objects import Objects, ObjectsAway
from stores.payloads import PayloadLost
from stores.records import RawDelivery
from stores.tables import deliveries
from tests.flows.scenery import database, deliver, ledger_difference, settings_in, started, stock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LARGE = stock("e-1", **{f"sku{n}": "5" for n in range(40)})


def run(settings: Settings, work: Callable[[Service], Coroutine[Any, Any, Any]]) -> Any:
    async def all_of_it() -> Any:
        async with started(settings) as service:
            return await work(service)

    return asyncio.run(all_of_it())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, object_body=500)


def rows(settings: Settings) -> list[Any]:
    with database(settings) as transaction:
        return transaction.execute(select(deliveries.c.id, deliveries.c.place, deliveries.c.body)).all()


def test_a_large_body_is_an_object_and_a_small_one_is_not(settings: Settings) -> None:
    async def work(service: Service) -> None:
        assert (await deliver(service, LARGE)).status == 200
        assert (await deliver(service, stock("e-2"))).status == 200

    run(settings, work)
    large, small = rows(settings)
    assert (large.body, small.place) == (b"", "")
    assert b'"sku39"' in payloads.body_of(objects_of(settings), large.place)
    assert ledger_difference(settings) == 0


def test_a_delivery_whose_body_is_an_object_is_replayed(settings: Settings) -> None:
    async def work(service: Service) -> str:
        await deliver(service, LARGE)
        return (await service.replay.one(rows(settings)[0].id)).verdict

    assert run(settings, work) in ("accepted", "duplicate")


def test_a_lost_body_is_said_by_the_replay(settings: Settings) -> None:
    async def work(service: Service) -> str:
        await deliver(service, LARGE)
        (row,) = rows(settings)
        objects_of(settings).delete(payloads.object_key(row.place))
        return (await service.replay.one(row.id)).failures[0].code

    assert run(settings, work) == "payload_missing"


@pytest.mark.parametrize(("lost", "state"), [(False, "accepted"), (True, "parked")])
def test_a_delivery_left_in_flight_is_finished_from_its_object(settings: Settings, lost: bool, state: str) -> None:
    async def work(service: Service) -> None:
        journal = service.journal
        concluded = journal._writer.concluded
        journal._writer.concluded = None  # type: ignore[method-assign, assignment]  # the process ends before the outcome
        reply = await deliver(service, LARGE)
        assert reply.status != 200
        journal._writer.concluded = concluded  # type: ignore[method-assign]

    with pytest.raises(TypeError):
        run(settings, work)
    (row,) = rows(settings)
    if lost:
        objects_of(settings).delete(payloads.object_key(row.place))

    async def recover(service: Service) -> Any:
        await asyncio.gather(service._background[0])
        return await service.journal.receipt(row.id)

    assert run(settings, recover)["state"] == state


def test_with_the_store_away_the_body_stands_in_the_row(settings: Settings) -> None:
    (settings.data / "objects").write_bytes(b"a file is in the way")

    async def work(service: Service) -> int:
        return (await deliver(service, LARGE)).status

    assert run(settings, work) == 200
    (row,) = rows(settings)
    assert (row.place, b'"sku39"' in row.body) == ("", True)


def test_a_store_that_failed_is_left_alone_for_a_while(tmp_path: Path) -> None:
    asked: list[str] = []

    class Away(Objects):
        def __init__(self) -> None:
            pass

        def put(self, key: str, data: bytes) -> None:
            asked.append(key)
            raise ObjectsAway("away")

    now = NOW
    large = LargeBodies(Away(), 10, lambda: now)
    raw = RawDelivery("d", NOW, "t", "p", "c", "f", "POST", "/", b"[]", b"", b"x" * 11, False, "", "")
    assert asyncio.run(large.stored(raw)) is raw
    asyncio.run(large.stored(raw))
    assert len(asked) == 1
    now += PAUSE + timedelta(seconds=1)
    asyncio.run(large.stored(raw))
    assert len(asked) == 2


def test_a_body_that_was_changed_is_no_payload(settings: Settings) -> None:
    objects = objects_of(settings)
    objects.put("k", b"other")
    with pytest.raises(PayloadLost):
        payloads.body_of(objects, payloads.object_place("k", b"this"))
