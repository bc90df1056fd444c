"""The whole product on PostgreSQL: several workers, and a server that goes away and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.e2e.conftest import rounds
from tests.e2e.test_kill import ACME_STOCK, Load, assert_nothing_is_lost
from tests.e2e.tiffin import Tiffin
from tests.flows.scenery import signed, stock
from tests.services import Stack

LEASE = "3"


def on_postgres(url: str) -> dict[str, str]:
    return {"TIFFIN_DATABASE_URL": url, "TIFFIN_SECRET_KEY": postgres.KEY, "TIFFIN_LEASE": LEASE}


@pytest.fixture
def two_workers(installed: Callable[..., Tiffin], postgres_database: str) -> Tiffin:
    tiffin = installed(**on_postgres(postgres_database))
    tiffin.start("--workers", "2")
    return tiffin


def worker_pids(tiffin: Tiffin) -> list[int]:
    children = subprocess.run(["pgrep", "-P", str(tiffin.pid), "-f", "spawn_main"], capture_output=True, text=True)
    return [int(pid) for pid in children.stdout.split()]


def posted(tiffin: Tiffin, document) -> int:
    body = json.dumps(document).encode()
    return tiffin.post(ACME_STOCK, body, signed(body)).status_code


@pytest.mark.timeout(300)
def test_two_workers_put_every_command_on_the_bus_once(two_workers: Tiffin) -> None:
    load = Load()
    asyncio.run(load.run(two_workers.url, 4.0, lambda: None))
    assert not load.refused
    assert_nothing_is_lost(two_workers, load)


@pytest.mark.timeout(300)
def test_both_workers_relay_a_part_of_the_outbox(two_workers: Tiffin, postgres_database: str) -> None:
    import psycopg

    def owners() -> int:
        with psycopg.connect(postgres_database) as connection:
            found = connection.execute(
                "SELECT count(DISTINCT owner) FROM shards WHERE shard < 64 AND owner <> ''"
            ).fetchone()
            return found[0] if found else 0

    assert eventually(lambda: owners() == 2)


@pytest.mark.timeout(900)
def test_what_was_acknowledged_is_on_the_bus_after_workers_are_killed(two_workers: Tiffin) -> None:
    load = Load()
    for _ in range(rounds(3)):
        [victim, *_] = worker_pids(two_workers)
        asyncio.run(load.run(two_workers.url, 0.7, lambda victim=victim: os.kill(victim, signal.SIGKILL)))
        assert eventually(lambda: len(worker_pids(two_workers)) == 2)
    asyncio.run(load.run(two_workers.url, 1.0, lambda: None))
    assert_nothing_is_lost(two_workers, load)


@pytest.mark.timeout(300)
def test_sigterm_ends_every_process_with_status_0(two_workers: Tiffin) -> None:
    load = Load()
    asyncio.run(load.run(two_workers.url, 0.5, lambda: None))
    workers = worker_pids(two_workers)
    assert two_workers.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert two_workers.json("ledger", "--deep", status=None)["difference"] == 0


def test_a_database_without_tables_keeps_the_server_from_starting_and_says_what_to_do(
    tmp_path: Path, postgres_url: str
) -> None:
    with postgres.database(postgres_url, migrated=False) as url:
        for workers in ("1", "2"):
            done = Tiffin(tmp_path / "data", **on_postgres(url)).done("serve", "--port", "0", "--workers", workers)
            said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
            assert (done.returncode, len(said)) == (1, 1)
            assert "tiffin migrate" in said[0]


# ---- a server of its own, that goes away ----


@pytest.fixture
def stack(tmp_path: Path, postgres_url: str) -> Iterator[Stack]:
    stack = Stack(tmp_path / "services")
    yield stack
    stack.remove()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_while_postgres_is_away_nothing_is_acknowledged_and_all_goes_on_when_it_returns(
    stack: Stack, installed: Callable[..., Tiffin], workers: str
) -> None:
    server = stack.start("postgres")["TIFFIN_TEST_POSTGRES_URL"]
    tiffin = installed(**on_postgres(server))
    tiffin.start("--workers", workers)
    assert posted(tiffin, stock(event="before")) == 200
    stack.stop("postgres")
    assert {posted(tiffin, stock(event=f"away-{n}")) for n in range(10)} == {503}
    assert tiffin.client.get(f"{tiffin.url}/readyz").status_code == 503
    assert tiffin.client.get(f"{tiffin.url}/healthz").status_code == 200
    stack.start("postgres")
    assert eventually(lambda: posted(tiffin, stock(event="after")) == 200)
    ledger = tiffin.settled()
    assert (ledger["difference"], ledger["deep"]["conflicting"]) == (0, 0)
    assert tiffin.running


@pytest.mark.timeout(600)
def test_what_was_acknowledged_stands_when_postgres_crashes_under_load(
    stack: Stack, installed: Callable[..., Tiffin]
) -> None:
    server = stack.start("postgres")["TIFFIN_TEST_POSTGRES_URL"]
    tiffin = installed(**on_postgres(server))
    tiffin.start("--workers", "2")
    load = Load()
    for _ in range(rounds(2)):
        asyncio.run(load.run(tiffin.url, 1.0, lambda: stack.kill("postgres")))
        stack.start("postgres")
        assert eventually(lambda: tiffin.client.get(f"{tiffin.url}/readyz").status_code == 200)
    asyncio.run(load.run(tiffin.url, 1.0, lambda: None))
    assert set(load.refused) <= {503}
    assert_nothing_is_lost(tiffin, load)


def eventually(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether it comes true within the time."""
    asked, given_up = threading.Event(), threading.Timer(seconds, lambda: None)
    given_up.start()
    try:
        while given_up.is_alive():
            if true():
                return True
            asked.wait(0.1)
        return False
    finally:
        given_up.cancel()
