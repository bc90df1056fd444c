from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from flows.journal import StoreUnavailable
from flows.retention import Gone, Retention
from tests.flows.scenery import deliver, deliveries_of, ledger_difference, settings_in, started, stock

MONTH = timedelta(days=31)


def later() -> datetime:
    return datetime.now(UTC) + MONTH


async def no_pause(_: float) -> None:
    return None


def retention(service, **changes) -> Retention:
    options = {"deliveries_days": 30, "published_days": 30, "pause": no_pause, **changes}
    return Retention(service.journal.write, later, **options)


def wait_until(true) -> None:
    give_up = time.monotonic() + 20
    while not true():
        assert time.monotonic() < give_up


async def published(service) -> None:
    """Returns when the relay has taken three commands to the bus."""
    await asyncio.to_thread(wait_until, lambda: service.writer.health.published >= 3)


@pytest.mark.usefixtures("everywhere")
def test_a_month_later_all_is_removed_and_the_ledger_balances(tmp_path) -> None:
    settings = settings_in(tmp_path)

    async def run() -> Gone:
        async with started(settings) as service:
            for number in range(3):
                await deliver(service, stock(event=f"e{number}"))
            await published(service)
            return await retention(service, step=2).remove()

    assert asyncio.run(run()) == Gone(deliveries=3, published=3, windows=0)
    assert deliveries_of(settings) == []
    assert ledger_difference(settings) == 0


@pytest.mark.usefixtures("everywhere")
def test_days_of_zero_keep_for_ever(tmp_path) -> None:
    settings = settings_in(tmp_path)

    async def run() -> Gone:
        async with started(settings) as service:
            await deliver(service, stock())
            return await retention(service, deliveries_days=0, published_days=0).remove()

    assert asyncio.run(run()) == Gone()
    assert len(deliveries_of(settings)) == 1


@pytest.mark.usefixtures("everywhere")
def test_a_webhook_is_answered_while_what_is_old_is_removed(tmp_path) -> None:
    settings = settings_in(tmp_path)

    async def run() -> int:
        async with started(settings) as service:
            for number in range(20):
                await deliver(service, stock(event=f"e{number}"))
            removing = asyncio.create_task(retention(service, step=1, published_days=0).remove())
            answered = 0
            while not removing.done():
                reply = await deliver(service, stock(event=f"new{answered}"))
                assert reply.status == 200
                answered += 1
            await removing
            return answered

    assert asyncio.run(run()) > 0
    assert ledger_difference(settings) == 0


def test_the_writer_has_most_of_the_time_to_itself() -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def write(job):
        return 0

    asyncio.run(Retention(write, later, deliveries_days=0, published_days=1, pause=pause).remove())
    assert len(pauses) == 2
    assert all(seconds > 0 for seconds in pauses)


def test_an_outage_of_the_store_does_not_end_the_loop() -> None:
    calls = []

    async def write(job):
        calls.append(job)
        raise StoreUnavailable

    async def pause(_: float) -> None:
        if len(calls) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Retention(write, later, deliveries_days=1, published_days=1, pause=pause).run())
    assert len(calls) == 3
