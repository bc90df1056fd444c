"""Whatever is killed under load: what was answered with 2xx has its commands on the bus after the next start."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.e2e.conftest import STORE, TOKEN, rounds
from tests.e2e.tiffin import Tiffin
from tests.flows.scenery import signed

ACME_STOCK = "/v1/integrations/pos/acme/webhooks/stock"
ACME_SLOW = "/v1/integrations/pos/acme/webhooks/slow"
PETPOOJA = "/v1/integrations/pos/petpooja/webhooks/inventory"
ITEMS = 3


@dataclass
class Sent:
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Load:
    """Callers that send messages of three items each and send again what was not answered, as providers do."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    acknowledged: set[str] = field(default_factory=set)
    unanswered: list[Sent] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)

    def message(self) -> Sent:
        if self.unanswered:
            return self.unanswered.pop()
        number = next(self.numbers)
        skus = [f"s{number}-{n}" for n in range(ITEMS)]
        if number % 3 == 0:
            document = {"restID": STORE, "type": "item", "inStock": number % 2 == 0, "itemID": skus}
            headers = {"authorization": TOKEN, "content-type": "application/json"}
            return Sent(PETPOOJA, json.dumps(document).encode(), headers)
        items = [{"sku": sku, "qty": number % 50} for sku in skus]
        body = json.dumps({"event": f"e{number}", "store": "R-1", "items": items}).encode()
        return Sent(ACME_SLOW if number % 3 == 1 else ACME_STOCK, body, signed(body))

    async def run(self, url: str, seconds: float, kill) -> None:
        """Sends until the server is gone; `kill` is called after so many seconds."""
        gone = asyncio.Event()
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            callers = [asyncio.create_task(self._call(client, gone)) for _ in range(24)]
            await asyncio.sleep(seconds)
            await asyncio.to_thread(kill)
            gone.set()
            await asyncio.gather(*callers)

    async def _call(self, client: httpx.AsyncClient, gone: asyncio.Event) -> None:
        while not gone.is_set():
            sent = self.message()
            try:
                reply = await client.post(sent.path, content=sent.body, headers=sent.headers)
            except httpx.TransportError:
                self.unanswered.append(sent)
                continue
            if reply.is_success:
                self.acknowledged.add(reply.headers["tiffin-delivery"])
            else:
                self.refused[reply.status_code] += 1
                self.unanswered.append(sent)


KILLS = {
    "the server": Tiffin.kill,
    "every process": Tiffin.kill_all,
}


def killed_and_started_again(tiffin: Tiffin, kill, times: int, seed: int) -> Load:
    load, chance = Load(), random.Random(seed)
    for _ in range(times):
        asyncio.run(load.run(tiffin.url, chance.uniform(0.1, 1.2), lambda: kill(tiffin)))
        tiffin.start()
    return load


def assert_nothing_is_lost(tiffin: Tiffin, load: Load) -> None:
    ledger = tiffin.settled()
    assert ledger["difference"] == 0
    assert ledger["deep"]["conflicting"] == 0
    assert ledger["deep"]["missing"] == ledger["deep"]["unknown"] == 0
    by_delivery: dict[str, set[str]] = {}
    content: dict[str, str] = {}
    for event in tiffin.commands():
        by_delivery.setdefault(event["deliveryid"], set()).add(event["id"])
        assert content.setdefault(event["id"], json.dumps(event["data"])) == json.dumps(event["data"])
    assert len(load.acknowledged) > 50
    short = {}
    for delivery in load.acknowledged:
        if len(by_delivery.get(delivery, ())) != ITEMS:
            told = tiffin.client.get(f"{tiffin.url}/v1/deliveries/{delivery}").json()
            # A message sent again because its first answer was lost has its commands under the first delivery.
            first = told.get("duplicate_of", "")
            if told["state"] != "duplicate" or len(by_delivery.get(first, ())) != ITEMS:
                short[delivery] = told
    assert not short, [line for line in tiffin.log if line.get("delivery") in short]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", KILLS)
def test_what_was_acknowledged_is_on_the_bus_after_a_kill(tiffin: Tiffin, what: str) -> None:
    load = killed_and_started_again(tiffin, KILLS[what], rounds(3), seed=len(what))
    assert_nothing_is_lost(tiffin, load)


@pytest.mark.timeout(900)
def test_a_server_whose_writer_is_killed_starts_another_and_loses_nothing(tiffin: Tiffin) -> None:
    load = Load()
    for _ in range(rounds(3)):
        first = tiffin.writer_pid
        asyncio.run(load.run(tiffin.url, 0.5, tiffin.kill_writer))
        asyncio.run(load.run(tiffin.url, 2.0, lambda: None))
        assert tiffin.writer_pid != first
    assert set(load.refused) <= {503}
    assert tiffin.client.get(f"{tiffin.url}/readyz").status_code == 200
    tiffin.kill_all()
    tiffin.start()
    assert_nothing_is_lost(tiffin, load)
