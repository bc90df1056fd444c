"""The same webhook on PostgreSQL, latency at half load, a full store, the relay on Kafka and a flooding neighbour.

What needs a service that does not run is left out and said so: `make services` starts them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy

from bench import load
from bench.servers import ECHO, SECRET, TIFFIN, Kind, Server, fill, settings
from flows.journal import database_url, secret_box
from flows.settings import Settings
from stores.database import open_database

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
STORED = int(os.environ.get("BENCH_STORED", "1000000"))
MESSAGES = 240_000
KEY = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmU="


def service(name: str) -> str:
    """How a service of `make services` is reached; "" where it does not run."""
    if found := os.environ.get(name):
        return found
    file = Path("build") / "services" / "env"
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition("=")[2] for line in lines if line.startswith(f"{name}=")), "")


# ---- PostgreSQL -------------------------------------------------------------------------------------------


@contextmanager
def _postgres_database(server: str) -> Iterator[str]:
    """A database of its own on a server."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    root = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with root.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    try:
        yield sqlalchemy.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with root.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        root.dispose()


def on_postgres(folder: Path) -> dict[str, Any] | None:
    """Requests a second with one and two workers, of the echo in the same round; latency at half of one worker's."""
    server = service("TIFFIN_TEST_POSTGRES_URL")
    if not server:
        return None
    found: dict[str, list[load.Figures]] = {"echo": [], "1": [], "2": [], "half": []}
    with _postgres_database(server) as url:
        own = {"TIFFIN_DATABASE_URL": url, "TIFFIN_SECRET_KEY": KEY}
        fill(url, secret_box(Settings(data=folder, database_url=url, secret_key=KEY)))
        with Server(ECHO, folder) as echo:
            for number in range(ROUNDS):
                found["echo"].append(_run(echo, folder, f"pg-echo-{number}"))
                for workers in ("1", "2"):
                    kind = Kind("tiffin", (*TIFFIN.arguments, "--workers", workers))
                    with Server(kind, folder, **own) as tiffin:
                        found[workers].append(_run(tiffin, folder, f"pg-{workers}-{number}"))
                        if workers == "1":
                            half = found["1"][-1].rps / 2
                            found["half"].append(_run(tiffin, folder, f"pg-half-{number}", rate=half))
    ratio = {n: _median_ratio(found[n], found["echo"]) for n in ("1", "2")}
    return {
        "rps": _median(found["1"]), "of_echo": ratio["1"], "rps_2_workers": _median(found["2"]),
        "of_echo_2_workers": ratio["2"],
        "half_load_p50_ms": round(statistics.median(f.p50_ms for f in found["half"]), 2),
        "half_load_p99_ms": round(statistics.median(f.p99_ms for f in found["half"]), 2),
        "errors": sum(f.errors for figures in found.values() for f in figures),
    }  # fmt: skip


# ---- a full store -------------------------------------------------------------------------------------------


def on_a_full_store(folder: Path, prepare: Callable[[Path], None]) -> dict[str, Any]:
    """The rate with a million stored deliveries, of the rate with none, in turn."""
    empty, full = folder / "empty", folder / "full"
    for one in (empty, full):
        one.mkdir()
        prepare(one)
    _store(database_url(settings(full)), STORED)
    found: dict[str, list[load.Figures]] = {"empty": [], "full": []}
    with Server(TIFFIN, empty) as one, Server(TIFFIN, full) as other:
        for number in range(ROUNDS):
            for name, server in (("empty", one), ("full", other)):
                found[name].append(_run(server, folder, f"{name}-{number}"))
    return {
        "stored": STORED, "rps": _median(found["full"]), "of_empty": _median_ratio(found["full"], found["empty"]),
        "errors": sum(f.errors for figures in found.values() for f in figures),
    }  # fmt: skip


_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
_STORED = (
    # An id sorts by its time, as those of real deliveries do.
    "INSERT INTO deliveries SELECT printf('00%042d', i), :at + i, 'bench', 'stock', 'bench', 'levels', 'POST', '/', "
    "x'5b5d', x'', zeroblob(160), 0, '', '', '', '' FROM n",
    "INSERT INTO outcomes (delivery, attempt, at, state, event, key_text, holder, commands, stale, external_merchant, "
    "external_store, merchant_id, store_id, spec_hash, results, entities, command_ids) SELECT printf('00%042d', i), 1, "
    ":at + i, 'accepted', '', '', '', 3, 0, '', 'W-1', '', 'sto_bench', '', '[]', '[]', '[]' FROM n",
    "INSERT INTO keys SELECT 'bench', 'stock', 'event_id:stored-' || i, printf('00%042d', i), 'done', :at + i, NULL, "
    "NULL FROM n",
    # New rows of the outbox are numbered from 1 on.
    "INSERT INTO published (id, delivery, attempt, shard, kafka_key, count, ids, at) SELECT -i, printf('00%042d', i), "
    "1, i % 64, 'bench/sto_bench', 3, '[]', :at + i FROM n",
)


def _store(url: str, count: int) -> None:
    """Puts finished deliveries there, as they stand once they are published."""
    database = open_database(url)
    at = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)
    with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
        for statement in _STORED:
            rows = statement.replace(" SELECT ", f" {_NUMBERS} SELECT ", 1)
            connection.execute(sqlalchemy.text(rows), {"count": count, "at": at})
    database.close()


# ---- the relay ----------------------------------------------------------------------------------------------


def relay_on_kafka(folder: Path) -> dict[str, Any] | None:
    """Messages a second that the relay moves from the outbox to Kafka, of those that a bare producer sends."""
    bootstrap = service("TIFFIN_TEST_KAFKA_BOOTSTRAP")
    if not bootstrap:
        return None
    from bench.relay_work import bare_producer, relay_moves, sqlite_in

    relayed, bare = [], []
    for number in range(ROUNDS):
        bare.append(bare_producer(bootstrap, MESSAGES))
        relayed.append(relay_moves(bootstrap, sqlite_in(folder / f"relay-{number}"), MESSAGES))
        print(f"  round {number + 1} bare {bare[-1]:8.0f}/s  relay {relayed[-1]:8.0f}/s", flush=True)
    ratio = statistics.median(r / b for r, b in zip(relayed, bare, strict=True))
    return {
        "messages_per_s": round(statistics.median(relayed)),
        "bare_per_s": round(statistics.median(bare)),
        "of_bare_producer": round(ratio, 3),
    }


# ---- a flooding neighbour -------------------------------------------------------------------------------------


def beside_a_flood(folder: Path) -> dict[str, Any]:
    """p99 of a healthy tenant at a fifth of the capacity, while another sends ten times its limit, of that alone."""
    own = folder / "flood"
    (own / "providers").mkdir(parents=True)
    (own / "providers" / "stock.yaml").write_text((Path(__file__).parent / "stock.yaml").read_text())
    (own / "tiffin").mkdir(mode=0o700)
    fill(database_url(settings(own)), secret_box(settings(own)), ("bench", "flood"))
    with Server(TIFFIN, own) as server:
        capacity = _run(server, folder, "flood-capacity").rps
    limit = capacity / 10
    alone, beside, factors = [], [], []
    with Server(TIFFIN, own, TIFFIN_RATE_CONNECTION=f"{limit:.0f}", TIFFIN_RATE_BURST="1") as server:
        # The healthy tenant has a limit of its own that it does not reach.
        _unlimited(own)
        for number in range(5):
            alone.append(_run(server, folder, f"alone-{number}", rate=capacity / 5))
            with _flood(server, folder, f"flood-{number}", rate=10 * limit):
                beside.append(_run(server, folder, f"beside-{number}", rate=capacity / 5))
            factors.append(beside[-1].p99_ms / alone[-1].p99_ms)
    return {
        "p99_ms_alone": round(statistics.median(f.p99_ms for f in alone), 2),
        "p99_ms_beside": round(statistics.median(f.p99_ms for f in beside), 2),
        "factor": round(statistics.median(factors), 2),
        "errors": sum(f.errors for f in (*alone, *beside)),
    }


def _unlimited(folder: Path) -> None:
    arguments = ["connection", "limit", "bench", "0", "--data", str(folder / "tiffin")]
    subprocess.run([sys.executable, "-m", "cli.main", *arguments], check=True, capture_output=True)


@contextmanager
def _flood(server: Server, folder: Path, name: str, rate: float) -> Iterator[None]:
    """Another tenant's requests all the while."""
    requests = folder / name
    load.write_requests(requests, 0, 6000 * SECONDS, SECRET, name)
    url = server.url.replace("/c/bench/", "/c/flood/")
    flooding = threading.Thread(target=load.run, args=(url, requests, SECONDS + 2), kwargs={"rate": rate})
    flooding.start()
    time.sleep(1)
    try:
        yield
    finally:
        flooding.join()


def _run(server: Server, folder: Path, name: str, rate: float = 0.0) -> load.Figures:
    requests = folder / f"requests-{name}"
    load.write_requests(requests, 0, 6000 * SECONDS, SECRET, name)
    figures = load.run(server.url, requests, SECONDS, rate=rate)
    requests.unlink()
    print(f"  {name:20} {figures.rps:8.0f}/s  p50 {figures.p50_ms:6.1f} ms  p99 {figures.p99_ms:6.1f} ms  "
          f"{figures.errors} errors", flush=True)  # fmt: skip
    return figures


def _median(figures: list[load.Figures]) -> float:
    return round(statistics.median(f.rps for f in figures), 1)


def _median_ratio(one: list[load.Figures], other: list[load.Figures]) -> float:
    return round(statistics.median(a.rps / b.rps for a, b in zip(one, other, strict=True)), 3)
