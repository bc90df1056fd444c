"""How much memory a server takes: idle, and with large bodies all at once."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import STORE, TOKEN
from tests.e2e.tiffin import Tiffin
from tests.flows.scenery import signed

MB = 1_000_000
BODY = 8 << 20
ACME = "/v1/integrations/pos/acme/webhooks/stock"
PETPOOJA = "/v1/integrations/pos/petpooja/webhooks/inventory"


def resident(tiffin: Tiffin, what: str) -> int:
    """Bytes in memory of the server and its writer: `VmRSS` now, `VmHWM` at the highest."""

    def of(pid: int) -> int:
        found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert found
        return int(found[1]) * 1024

    return of(tiffin.pid) + of(tiffin.writer_pid)


def many_items(n: int) -> bytes:
    """As many stock lines as fit."""
    line = json.dumps({"sku": "s" * 12, "qty": "1"})
    count = BODY // (len(line) + 1) - 10
    lines = ",".join(json.dumps({"sku": f"{n:04}{i:08}", "qty": "1"}) for i in range(count))
    return f'{{"event":"big-{n}","store":"R-1","items":[{lines}]}}'.encode()


def one_string(n: int) -> bytes:
    return json.dumps({"event": f"big-{n}", "store": "R-1", "items": [{"sku": "s" * (BODY - 100), "qty": 1}]}).encode()


def empty_lists(n: int) -> bytes:
    lists = ",".join(["[]"] * ((BODY - 100) // 3))
    return f'{{"event":"big-{n}","store":"R-1","items":[{lists}]}}'.encode()


def not_json(n: int) -> bytes:
    return b"{" * (BODY - n)


def wrong_signature(n: int) -> bytes:
    return one_string(n)


def test_an_idle_server_takes_at_most_150_mb(tiffin: Tiffin) -> None:
    taken = resident(tiffin, "VmRSS")
    print(taken / MB)
    assert taken <= 150 * MB


@pytest.mark.timeout(600)
@pytest.mark.parametrize("body", [many_items, one_string, empty_lists, not_json, wrong_signature])
def test_64_bodies_of_8_mb_at_once_do_not_pass_600_mb(tiffin: Tiffin, body: Callable[[int], bytes]) -> None:
    bodies = [body(n) for n in range(4)]
    assert all(BODY * 0.95 < len(one) <= BODY for one in bodies)
    headers = [signed(one) for one in bodies]
    if body is wrong_signature:
        headers = [{**one, "x-signature": "0" * 64} for one in headers]

    def send(n: int) -> int:
        with httpx.Client(timeout=300) as client:
            url = tiffin.url + ACME
            return client.post(url, content=bodies[n % 4], headers=headers[n % 4]).status_code

    with ThreadPoolExecutor(64) as callers:
        statuses = Counter(callers.map(send, range(64)))
    print(statuses, resident(tiffin, "VmHWM") / MB)
    assert resident(tiffin, "VmHWM") <= 600 * MB
    assert set(statuses) <= {200, 401, 429, 503}
    assert sum(statuses.values()) == 64
    assert tiffin.client.get(f"{tiffin.url}/healthz").status_code == 200
    assert tiffin.settled(120)["difference"] == 0


def test_bodies_above_the_limit_are_refused_before_they_are_held(tiffin: Tiffin) -> None:
    headers = {"authorization": TOKEN, "content-type": "application/json"}
    before = resident(tiffin, "VmHWM")
    with httpx.Client(timeout=60) as client:
        reply = client.post(tiffin.url + PETPOOJA, content=STORE.encode() * (20 * MB // len(STORE)), headers=headers)
    assert reply.status_code == 413
    assert resident(tiffin, "VmHWM") - before < 10 * MB
