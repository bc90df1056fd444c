"""A webhook and an import job with the same idempotency key: each command is written once, whoever comes first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from engine.messages import Request
from flows.service import Service
from flows.settings import Settings
from stores import imports, tables
from stores.imports import Job
from tests.flows import markets
from tests.flows.markets import admitted, imported, market_settings
from tests.flows.scenery import database, deliveries_of, ledger_difference, signed, started

pytestmark = pytest.mark.usefixtures("everywhere")

ROWS = 50
TABLE = markets.table(ROWS)
BAD = TABLE.replace(b"s7,8.50", b"s7,oops")
BY_ID = 'idempotency: {event_id: ["feed ? feed : $request.headers.`x-feed-id`"]}'
BY_HASH = ["idempotency: {payload_hash: {window: 10m}}", "idempotency: {payload_hash: {against: last}}"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return market_settings(tmp_path)


def running(settings: Settings, does: Callable[[Service], Awaitable[None]]) -> None:
    """Does something with a service that runs no jobs by itself, and looks whether commands were doubled or lost."""

    async def run() -> None:
        async with started(settings, serving=False) as service:
            await does(service)

    asyncio.run(run())
    assert doubled(settings) == []
    assert ledger_difference(settings) == 0


def written(settings: Settings) -> list[str]:
    """The ids of all commands that wait in the outbox."""
    with database(settings) as transaction:
        rows = transaction.scalars(select(tables.outbox.c.ids).order_by(tables.outbox.c.id)).all()
    return [id for ids in rows for id in (orjson.loads(ids) if isinstance(ids, str) else ids)]


def doubled(settings: Settings) -> list[str]:
    return [id for id, count in Counter(written(settings)).items() if count > 1]


async def posted(service: Service, body: bytes, feed: str = "f1") -> tuple[str, str]:
    """The state of a table sent as a webhook, and whose duplicate it is."""
    headers = {**signed(body), "content-type": "text/csv", "x-feed-id": feed}
    pairs = tuple((k.encode(), v.encode()) for k, v in headers.items())
    path = "/v1/integrations/seller/market/import"
    target = service.receiver.target("seller", "market", "", "POST", "import")
    reply = await service.receiver.receive(target, Request("POST", path, path, (), pairs, body, "", service._clock()))
    found = await service.journal.receipt(dict(reply.headers)["tiffin-delivery"])
    assert found is not None
    return found["state"], found.get("duplicate_of", "")


def at_chunk(service: Service, number: int, does: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Has something done before a chunk is written; what it came to stands in the list afterwards."""
    write, found = service.importer._write, []

    async def watched(chunk: imports.Chunk) -> imports.Written:
        if chunk.number == number and not found:
            found.append(await does())
        return await write(chunk)

    service.importer._write = watched  # type: ignore[method-assign]
    return found


async def cancelled_at(service: Service, number: int, body: bytes = TABLE) -> Job:
    job = await admitted(service, body, "a.csv")

    async def cancel() -> None:
        await service.journal.write(lambda t: imports.ask_to_cancel(t, job.id, service._clock()))

    at_chunk(service, number, cancel)
    ended = await service.importer.run_one(job.id)
    assert ended is not None
    assert ended.state == "cancelled"
    return ended


async def stopped_at(service: Service, number: int) -> Job:
    """A job that is left open with its first chunks written, as where its process was killed."""
    job = await admitted(service, TABLE, "a.csv")

    async def stop() -> None:
        service.importer.stop()

    at_chunk(service, number, stop)
    left = await service.importer.run_one(job.id)
    assert left is not None
    assert (left.state, left.chunks) == ("running", number + 1)
    return left


def test_a_job_behind_a_webhook_that_is_done_is_its_duplicate(settings: Settings) -> None:
    async def does(service: Service) -> None:
        assert (await posted(service, TABLE))[0] == "accepted"
        assert (await imported(service, TABLE, "a.csv")).state == "duplicate"

    running(settings, does)
    assert len(written(settings)) == ROWS


def test_a_job_behind_a_webhook_that_is_partial_writes_what_is_missing(settings: Settings) -> None:
    async def does(service: Service) -> None:
        assert (await posted(service, BAD))[0] == "partial"
        job = await imported(service, TABLE, "a.csv")
        assert (job.state, job.commands) == ("done", 1)

    running(settings, does)
    assert len(written(settings)) == ROWS


@pytest.mark.parametrize("chunk", [0, 2, 4])
def test_a_webhook_while_the_job_runs_is_its_duplicate(settings: Settings, chunk: int) -> None:
    async def does(service: Service) -> None:
        job = await admitted(service, TABLE, "a.csv")
        found = at_chunk(service, chunk, lambda: posted(service, TABLE))
        ended = await service.importer.run_one(job.id)
        assert found == [("duplicate", job.id)]
        assert ended is not None
        assert (ended.state, ended.commands) == ("done", ROWS)

    running(settings, does)


def test_a_webhook_with_another_key_goes_its_way_while_the_job_runs(settings: Settings) -> None:
    async def does(service: Service) -> None:
        job = await admitted(service, TABLE, "a.csv")
        found = at_chunk(service, 2, lambda: posted(service, TABLE, "f2"))
        await service.importer.run_one(job.id)
        assert found == [("accepted", "")]

    running(settings, does)
    assert len(written(settings)) == 2 * ROWS


def test_a_webhook_after_a_job_that_is_done_is_its_duplicate(settings: Settings) -> None:
    async def does(service: Service) -> None:
        job = await imported(service, TABLE, "a.csv")
        assert await posted(service, TABLE) == ("duplicate", job.id)

    running(settings, does)


def test_a_webhook_after_a_job_that_is_partial_writes_what_is_missing(settings: Settings) -> None:
    async def does(service: Service) -> None:
        assert (await imported(service, BAD, "a.csv")).state == "partial"
        assert await posted(service, TABLE) == ("accepted", "")
        assert (await posted(service, TABLE))[0] == "duplicate"

    running(settings, does)
    assert len(written(settings)) == ROWS


def test_a_job_after_a_partial_job_and_a_partial_webhook_writes_what_both_left(settings: Settings) -> None:
    worse = BAD.replace(b"s30,31.50", b"s30,oops")

    async def does(service: Service) -> None:
        await imported(service, worse, "a.csv")
        assert (await posted(service, BAD))[0] == "partial"
        job = await imported(service, TABLE, "a.csv")
        assert (job.state, job.commands) == ("done", 1)

    running(settings, does)
    assert len(written(settings)) == ROWS


def test_a_webhook_after_a_cancelled_job_writes_what_is_missing(settings: Settings) -> None:
    async def does(service: Service) -> None:
        job = await cancelled_at(service, 2)
        assert job.commands == 20
        assert await posted(service, TABLE) == ("accepted", "")

    running(settings, does)
    assert len(written(settings)) == ROWS


def test_a_webhook_after_a_failed_job_writes_what_is_missing(settings: Settings) -> None:
    async def does(service: Service) -> None:
        job = await imported(service, markets.table(24) + b'"open,1\n', "a.csv")
        assert (job.state, job.commands) == ("failed", 24)
        assert await posted(service, TABLE) == ("accepted", "")

    running(settings, does)
    assert len(written(settings)) == ROWS


def test_a_webhook_while_a_killed_job_waits_is_its_duplicate_and_the_job_goes_on(settings: Settings) -> None:
    async def stops(service: Service) -> None:
        await stopped_at(service, 1)

    async def goes_on(service: Service) -> None:
        state, holder = await posted(service, TABLE)
        ended = await service.importer.run_next()
        assert ended is not None
        assert (state, holder) == ("duplicate", ended.id)
        assert (ended.state, ended.commands) == ("done", ROWS)

    running(settings, stops)
    running(settings, goes_on)


def test_a_killed_job_goes_on_with_what_a_partial_webhook_left(settings: Settings) -> None:
    async def stops(service: Service) -> None:
        assert (await posted(service, BAD.replace(b"s30,31.50", b"s30,oops")))[0] == "partial"
        await stopped_at(service, 1)

    async def goes_on(service: Service) -> None:
        ended = await service.importer.run_next()
        assert ended is not None
        assert (ended.state, ended.commands) == ("done", 2)

    running(settings, stops)
    running(settings, goes_on)


@pytest.mark.parametrize("owner", ["", "4999999:gone"])
def test_a_job_that_is_cancelled_while_nobody_runs_it_leaves_its_key_to_a_webhook(
    settings: Settings, owner: str
) -> None:
    async def does(service: Service) -> None:
        job = await stopped_at(service, 1)
        now = service._clock()
        held = tables.imports.update().values(owner=owner, lease_until=now)
        await service.journal.write(lambda t: t.execute(held) and imports.ask_to_cancel(t, job.id, now))
        assert await posted(service, TABLE) == ("accepted", "")

    running(settings, does)
    assert len(written(settings)) == ROWS


def test_a_job_that_crashes_for_good_leaves_its_key_to_a_webhook(settings: Settings) -> None:
    async def stops(service: Service) -> None:
        await stopped_at(service, 1)

    async def gives_up(service: Service) -> None:
        await service.journal.write(lambda t: t.execute(tables.imports.update().values(attempts=9)))
        ended = await service.importer.run_next()
        assert ended is not None
        assert ended.state == "failed"
        assert await posted(service, TABLE) == ("accepted", "")

    running(settings, stops)
    running(settings, gives_up)
    assert len(written(settings)) == ROWS


def test_a_replay_of_a_partial_webhook_while_a_job_has_its_key_is_the_jobs_duplicate(settings: Settings) -> None:
    async def does(service: Service) -> None:
        await posted(service, BAD)
        job = await admitted(service, TABLE, "a.csv")
        webhook = deliveries_of(settings)[0].id
        found = at_chunk(service, 2, lambda: service.replay.one(webhook))
        await service.importer.run_one(job.id)
        assert [one.verdict for one in found] == ["duplicate"]

    running(settings, does)
    assert len(written(settings)) == ROWS


def test_a_replay_of_a_partial_webhook_after_a_partial_job_writes_nothing_again(settings: Settings) -> None:
    async def does(service: Service) -> None:
        await posted(service, BAD.replace(b"s30,31.50", b"s30,oops"))
        webhook = deliveries_of(settings)[0].id
        assert (await imported(service, BAD, "a.csv")).commands == 1
        assert (await service.replay.one(webhook)).commands == 0

    running(settings, does)
    assert len(written(settings)) == ROWS - 1


def test_a_corrected_command_has_another_id_and_the_others_are_not_written_again(settings: Settings) -> None:
    async def does(service: Service) -> None:
        await imported(service, BAD, "a.csv")
        assert (await posted(service, TABLE.replace(b"s8,9.50", b"s8,9.75")))[0] == "accepted"

    running(settings, does)
    assert len(written(settings)) == ROWS + 1


@pytest.mark.parametrize("idempotency", BY_HASH)
def test_a_file_whose_key_is_the_hash_of_its_bytes_goes_on_where_it_was_cancelled(
    settings: Settings, idempotency: str
) -> None:
    (settings.providers / "market.yaml").write_text(markets.MARKET.replace(BY_ID, idempotency))

    async def does(service: Service) -> None:
        await cancelled_at(service, 2)
        await cancelled_at(service, 4)
        job = await imported(service, TABLE, "a.csv")
        assert (job.state, job.commands) == ("done", 10)
        assert (await imported(service, TABLE, "a.csv")).state == "duplicate"

    running(settings, does)
    assert len(written(settings)) == ROWS


@pytest.mark.parametrize("idempotency", BY_HASH)
def test_a_webhook_with_the_content_of_a_hashed_file_is_another_message(settings: Settings, idempotency: str) -> None:
    (settings.providers / "market.yaml").write_text(markets.MARKET.replace(BY_ID, idempotency))

    async def does(service: Service) -> None:
        job = await admitted(service, TABLE, "a.csv")
        found = at_chunk(service, 2, lambda: posted(service, TABLE))
        await service.importer.run_one(job.id)
        assert found == [("accepted", "")]

    running(settings, does)
    assert len(written(settings)) == 2 * ROWS
