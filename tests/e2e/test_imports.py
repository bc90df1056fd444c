"""Import jobs that are killed -9 half-way: whoever resumes them writes every row once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.tiffin import ROOT, Tiffin, command
from tests.flows import markets
from tests.flows.scenery import SECRET, signed

ROWS = 20_000


@pytest.fixture
def tiffin(tmp_path: Path):
    providers = tmp_path / "providers"
    providers.mkdir()
    (providers / "market.yaml").write_text(markets.MARKET)
    found = Tiffin(tmp_path / "data", TIFFIN_PROVIDERS=str(providers), TIFFIN_IMPORT_CHUNK="200")
    found.run("connection", "add", "market", "--tenant", "north", "--secret", f"key={SECRET}", "--id", "stall")
    yield found
    found.close()


def begun(tiffin: Tiffin) -> str:
    """The id of the job once some of its rows are written: asked of the database, which is quicker than it."""
    give_up = time.monotonic() + 60
    with closing(sqlite3.connect(f"file:{tiffin.data}/tiffin.db?mode=ro", uri=True)) as database:
        while True:
            found = database.execute("SELECT id FROM imports WHERE rows > 0").fetchone()
            if found is not None:
                return str(found[0])
            assert time.monotonic() < give_up, tiffin.log
            time.sleep(0.01)


def ended(tiffin: Tiffin, job: str) -> dict:
    give_up = time.monotonic() + 120
    while True:
        found = tiffin.json("job", "show", job)
        if found["state"] not in ("waiting", "running"):
            return found
        assert time.monotonic() < give_up, found
        time.sleep(0.1)


def assert_once_a_row(tiffin: Tiffin, told: dict) -> None:
    assert (told["state"], told["rows"], told["commands"], told["failed"]) == ("done", ROWS, ROWS, 0)
    ledger = tiffin.settled(120)
    assert ledger["difference"] == 0
    assert ledger["deep"]["missing"] == ledger["deep"]["unknown"] == ledger["deep"]["conflicting"] == 0
    events = tiffin.commands()
    assert len({event["id"] for event in events}) == ROWS
    assert len({event["commandkey"] for event in events}) == ROWS


@pytest.mark.timeout(600)
def test_a_server_killed_half_way_through_a_file_goes_on_with_it_and_writes_each_row_once(tiffin: Tiffin) -> None:
    tiffin.start()
    body = markets.table(ROWS)
    headers = {**signed(body), "content-type": "text/csv", "x-feed-id": "f1"}
    answer = tiffin.post("/v1/integrations/seller/market/import", body, headers)
    assert answer.status_code == 202
    job = answer.json()["id"]
    assert begun(tiffin) == job
    tiffin.kill_all()
    half = tiffin.json("job", "show", job)
    assert half["state"] == "running"
    assert 0 < half["rows"] < ROWS
    tiffin.start()
    assert_once_a_row(tiffin, ended(tiffin, job))


@pytest.mark.timeout(600)
def test_a_command_killed_half_way_is_resumed_by_another(tiffin: Tiffin, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_bytes(markets.table(ROWS))
    arguments = ["import", "market", str(file), "--header", "X-Feed-Id: f1"]
    running = subprocess.Popen(command(arguments), cwd=ROOT, env=tiffin.environment, stdout=subprocess.DEVNULL)
    job = begun(tiffin)
    os.kill(running.pid, signal.SIGKILL)
    running.wait(30)
    assert tiffin.json("job", "show", job)["rows"] < ROWS
    told = json.loads(tiffin.run("job", "resume", job, "--json"))
    assert told["state"] == "done"
    tiffin.start()
    assert_once_a_row(tiffin, told)


@pytest.mark.timeout(600)
def test_a_command_that_is_interrupted_says_how_to_go_on(tiffin: Tiffin, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_bytes(markets.table(ROWS))
    arguments = ["import", str(file), "--header", "X-Feed-Id: f1"]
    running = subprocess.Popen(command(arguments), cwd=ROOT, env=tiffin.environment, stdout=subprocess.PIPE, text=True)
    job = begun(tiffin)
    running.terminate()
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    assert f"tiffin job resume {job}" in said
    tiffin.run("job", "cancel", job, "--why", "the wrong file")
    assert tiffin.json("job", "show", job)["state"] == "cancelled"
