"""Fetches as one process and several do them: one asks, whoever takes over goes on, nothing is received twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.journal import StoreUnavailable
from flows.refreshing.fetcher import MOST_ATTEMPTS, Fetcher
from flows.refreshing.running import Refreshing
from flows.refreshing.wanted import Rules, by_hand
from flows.service import Service
from flows.settings import Settings
from stores import fetch_jobs
from stores.fetch_jobs import Job
from stores.writer import Work
from tests.flows.scenery import add_connection, commands_of, deliveries_of, on_database, started
from tests.recorded import Answer, Asked, Recorded, Script, page

SHOP = """
spec: tiffin/v1
provider: shop
title: Shop
family: erp
revision: 1
evidence: assumed
defaults: {currency: INR, unit: each}
auth: {scheme: token, header: X-Api-Key, secret: token}
unmapped: {store: create}
feeds:
  events:
    idempotency: {event_id: [event]}
    commands:
      refresh:
        command: RequestRefresh
        fields: {kind: {value: stock}}
        fetch:
          url: HOST/v1/stock
          query: {since: since}
          auth: {secret: api_key, header: X-Api-Key}
          pages: {next: next}
          feed: stock
          rate: 1000
  stock:
    scope: {store: store}
    idempotency: {payload_hash: {against: last}}
    commands:
      stock:
        command: UpdateStockLevel
        each: items
        fields: {item_id: sku, quantity: qty}
"""
POLLING = SHOP.replace("rate: 1000", "every: 15m")
EMPTY = page({"store": "R-1", "items": []})


class Clock:
    """Now, moved by the tests."""

    def __init__(self) -> None:
        self.past = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.past

    def move(self, seconds: float) -> None:
        self.past += timedelta(seconds=seconds)


def shown(number: int, last: int = 2) -> Answer:
    following = {"next": f"/v1/stock?page={number + 1}"} if number < last else {}
    return page({"store": "R-1", "items": [{"sku": f"sku-{number}", "qty": str(number)}], **following})


def by_page(_: int, asked: Asked) -> Answer:
    """Two pages."""
    return shown(2 if "page=2" in asked.path else 1)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with Recorded(by_page) as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


Shop = Callable[..., Any]


@pytest.fixture
def shop(tmp_path: Path, recorded: Recorded, clock: Clock, everywhere: str) -> Shop:
    """Opens a service with a connection to the shop, and a connection's other secrets."""

    @asynccontextmanager
    async def opened(script: Script = by_page, text: str = SHOP, **secrets: str) -> AsyncIterator[Service]:
        recorded.script = script
        providers = tmp_path / "providers"
        providers.mkdir()
        (providers / "shop.yaml").write_text(text.replace("HOST", recorded.url))
        settings = Settings(
            _env_file=None,
            data=tmp_path / "data",
            providers=providers,
            fetch_allow=("127.0.0.1/32",),
            fetch_timeout=5,
            **on_database(),
        )
        given = secrets or {"api_key": "an-api-key-of-the-shop"}
        add_connection(settings, "shop", "one", merchant="mer_1", secrets={"token": "a-token-of-the-shop-1", **given})
        async with started(settings, serving=False, clock=clock) as service:
            yield service

    return opened


def fetcher(service: Service, owner: str, clock: Clock) -> Fetcher:
    parts = (service.providers, service.directory, service.journal, service.receiver)
    return Refreshing(service.settings, owner, *parts, clock).made()[1]


async def want(service: Service, clock: Clock, id: str = "j-1", what: str | None = None) -> None:
    """A job as an operator begins one."""
    connection = (await service.directory.current()).by_id["one"]
    rule = Rules(service.providers).get("shop", "events", "stock")
    assert rule is not None
    await service.journal.write(Work(fetch_jobs.add, [by_hand(id, connection, rule, what, full=False, now=clock())]))


async def stepped(made: Fetcher) -> None:
    """One round, and the end of what it began."""
    await asyncio.gather(*await made.step())


async def job(service: Service, id: str = "j-1") -> Job:
    found = await service.journal.read(lambda transaction: fetch_jobs.get(transaction, id))
    assert found is not None
    return found


def commands(service: Service) -> list[str]:
    return [id for one in deliveries_of(service.settings) for id in commands_of(service.settings, one.id)]


def paths(recorded: Recorded) -> list[str]:
    return [asked.path for asked in recorded.asked]


def run(shop: Shop, body: Callable[[Service], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with shop(**options) as service:
            await body(service)

    asyncio.run(main())


def lost_writes(service: Service, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Has the store be away whenever this function of it is to write."""
    write = service.journal.write

    async def lossy(work: Any) -> Any:
        if getattr(getattr(work, "_function", None), "__name__", "") == name:
            raise StoreUnavailable
        return await write(work)

    monkeypatch.setattr(service.journal, "write", lossy)


def test_every_page_is_a_delivery_and_its_commands_stand_once(shop: Shop, clock: Clock, recorded: Recorded) -> None:
    async def body(service: Service) -> None:
        await want(service, clock)
        await stepped(fetcher(service, "a", clock))
        assert (await job(service)).state == "done"
        assert [one.state for one in deliveries_of(service.settings)] == ["accepted", "accepted"]
        assert len(set(commands(service))) == 2
        assert paths(recorded) == ["/v1/stock", "/v1/stock?page=2"]

    run(shop, body)


@pytest.mark.parametrize(("lost", "page_lost"), [("advance", 1), ("finish", 2)])
def test_a_page_that_was_received_is_not_asked_for_again_by_whoever_takes_over(
    shop: Shop, clock: Clock, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, lost: str, page_lost: int
) -> None:
    async def body(service: Service) -> None:
        await want(service, clock)
        with monkeypatch.context() as patched:
            lost_writes(service, patched, lost)
            await stepped(fetcher(service, "a", clock))
        assert (await job(service)).state == "open"
        assert len(deliveries_of(service.settings)) == page_lost
        asked = len(recorded.asked)
        clock.move(3600)
        await stepped(fetcher(service, "b", clock))
        assert (await job(service)).state == "done"
        assert len(recorded.asked) == max(asked, 2)
        assert [one.state for one in deliveries_of(service.settings)] == ["accepted", "accepted"]
        assert len(set(commands(service))) == len(commands(service)) == 2

    run(shop, body)


def test_a_job_in_hand_is_let_go_of_at_the_end(shop: Shop, clock: Clock, recorded: Recorded) -> None:
    async def body(service: Service) -> None:
        await want(service, clock)
        first = fetcher(service, "a", clock)
        await first.step()
        await first.close()
        assert (await job(service)).owner == ""
        await stepped(fetcher(service, "b", clock))
        assert (await job(service)).state == "done"
        assert len(set(commands(service))) == len(commands(service)) == 2

    run(shop, body)


def test_one_of_several_workers_polls(shop: Shop, clock: Clock, recorded: Recorded) -> None:
    async def body(service: Service) -> None:
        workers = [fetcher(service, owner, clock) for owner in "abc"]
        for turn in (1, 2, 3):
            await asyncio.gather(*(stepped(one) for one in workers))
            await asyncio.gather(*(stepped(one) for one in workers))
            assert len(recorded.asked) == turn
            clock.move(901)

    run(shop, body, text=POLLING, script=lambda _, __: EMPTY)


def test_a_poll_asks_for_what_has_changed_since_the_last(shop: Shop, clock: Clock, recorded: Recorded) -> None:
    async def body(service: Service) -> None:
        worker = fetcher(service, "a", clock)
        await stepped(worker)
        began = clock() - timedelta(minutes=1)
        clock.move(901)
        await stepped(worker)
        first, second = paths(recorded)
        assert first == "/v1/stock"
        since = datetime.strptime(second.partition("since=")[2], "%Y-%m-%dT%H%%3A%M%%3A%SZ").replace(tzinfo=UTC)
        assert abs((since - began).total_seconds()) < 10

    run(shop, body, text=POLLING, script=lambda _, __: EMPTY)


def test_a_poll_that_is_no_longer_in_its_file_is_forgotten(shop: Shop, clock: Clock, recorded: Recorded) -> None:
    async def body(service: Service) -> None:
        await stepped(fetcher(service, "a", clock))
        service.providers.clear()
        clock.move(901)
        await stepped(fetcher(service, "a", clock))
        assert await service.journal.read(lambda transaction: fetch_jobs.listed(transaction)) == []

    run(shop, body, text=POLLING, script=lambda _, __: EMPTY)


def test_a_provider_that_stays_away_is_given_up_after_growing_pauses(
    shop: Shop, clock: Clock, recorded: Recorded
) -> None:
    async def body(service: Service) -> None:
        await want(service, clock)
        worker = fetcher(service, "a", clock)
        pauses = []
        for _ in range(MOST_ATTEMPTS):
            await stepped(worker)
            pauses.append(((await job(service)).due - clock()).total_seconds())
            clock.move(1000)
        found = await job(service)
        assert found.state == "failed"
        assert found.last_error == f"the provider answered 503, {MOST_ATTEMPTS} times in turn"
        assert len(recorded.asked) == MOST_ATTEMPTS
        assert pauses[0] < 2
        assert 400 < max(pauses) <= 900

    run(shop, body, script=lambda _, __: Answer(503))


def test_a_connection_that_is_to_be_left_alone_is_left_alone_by_all_its_fetches(
    shop: Shop, clock: Clock, recorded: Recorded
) -> None:
    async def body(service: Service) -> None:
        await want(service, clock)
        worker = fetcher(service, "a", clock)
        await stepped(worker)
        await want(service, clock, "j-2", "another")
        await stepped(worker)
        assert len(recorded.asked) == 1
        found = await job(service, "j-2")
        assert (found.state, found.attempts, found.owner) == ("open", 0, "")
        assert found.due - clock() > timedelta(seconds=45)

    run(shop, body, script=lambda _, __: Answer(429, headers=(("Retry-After", "60"),)))


def test_a_connection_without_the_secret_asks_nothing(shop: Shop, clock: Clock, recorded: Recorded) -> None:
    async def body(service: Service) -> None:
        await want(service, clock)
        await stepped(fetcher(service, "a", clock))
        found = await job(service)
        assert (found.state, found.last_error) == ("failed", "the connection has no secret api_key")
        assert recorded.asked == []

    run(shop, body, other="a-secret-of-something-else")


def test_a_secret_that_cannot_stand_in_a_header_asks_nothing(shop: Shop, clock: Clock, recorded: Recorded) -> None:
    async def body(service: Service) -> None:
        await want(service, clock)
        await stepped(fetcher(service, "a", clock))
        assert "cannot stand in a header" in (await job(service)).last_error
        assert recorded.asked == []

    run(shop, body, api_key="line\r\nX-Evil: 1")


def test_a_job_whose_rule_is_gone_says_so(shop: Shop, clock: Clock, recorded: Recorded) -> None:
    async def body(service: Service) -> None:
        await want(service, clock)
        service.providers.clear()
        await stepped(fetcher(service, "a", clock))
        assert (await job(service)).state == "failed"

    run(shop, body)


def test_a_job_that_is_cancelled_between_two_pages_ends(shop: Shop, clock: Clock, recorded: Recorded) -> None:
    async def body(service: Service) -> None:
        await want(service, clock)

        def script(number: int, asked: Asked) -> Answer:
            service.journal.read_in_thread(lambda _: None)
            asyncio.run_coroutine_threadsafe(
                service.journal.write(Work(fetch_jobs.cancel, "j-1", clock())), loop
            ).result(30)
            return by_page(number, asked)

        loop = asyncio.get_running_loop()
        recorded.script = script
        await stepped(fetcher(service, "a", clock))
        assert (await job(service)).state == "cancelled"
        assert len(recorded.asked) == 1

    run(shop, body)


def test_a_page_with_bad_rows_has_its_own_failures_and_the_fetch_goes_on(
    shop: Shop, clock: Clock, recorded: Recorded
) -> None:
    def script(number: int, asked: Asked) -> Answer:
        if "page=2" in asked.path:
            return shown(2)
        items = [{"sku": "a", "qty": "many"}, {"sku": "b", "qty": "3"}]
        return page({"store": "R-1", "items": items, "next": "/v1/stock?page=2"})

    async def body(service: Service) -> None:
        await want(service, clock)
        await stepped(fetcher(service, "a", clock))
        assert (await job(service)).state == "done"
        assert [one.state for one in deliveries_of(service.settings)] == ["partial", "accepted"]

    run(shop, body, script=script)
