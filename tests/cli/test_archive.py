"""tiffin archive, tiffin delivery show and erase."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from cli.main import tiffin
from flows.settings import Settings
from stores.tables import deliveries
from tests.flows.scenery import database, deliver, deliveries_of, settings_in, started, stock


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A data folder with two deliveries, received ten days ago."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIFFIN_PROVIDERS", str(tmp_path / "providers"))
    settings = settings_in(tmp_path)

    async def receive() -> None:
        async with started(settings) as service:
            await deliver(service, stock("e-1", marked="17"))
            await deliver(service, stock("e-2", other="18"))

    asyncio.run(receive())
    with database(settings, writing=True) as transaction:
        at = deliveries.c.received_at
        transaction.execute(update(deliveries).values(received_at=at - 10 * 86_400_000_000))
    return settings


def run(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(tiffin, [*arguments, "--data", str(settings.data)])


def lines(found: Result) -> list[Any]:
    return [json.loads(line) for line in found.stdout.splitlines()]


def first(settings: Settings) -> str:
    return str(deliveries_of(settings)[0].id)


def test_a_run_says_what_it_packed_and_the_list_has_it(settings: Settings) -> None:
    segment, total = lines(run(settings, "archive", "run", "--json"))
    assert (segment["provider"], segment["rows"], total["deliveries"]) == ("acme", 2, 2)
    (listed,) = json.loads(run(settings, "archive", "list", "--json").stdout)
    assert (listed["id"], listed["state"]) == (segment["segment"], "trimmed")


def test_a_second_run_packs_nothing(settings: Settings) -> None:
    run(settings, "archive", "run")
    assert lines(run(settings, "archive", "run", "--json")) == [{"segments": 0, "deliveries": 0, "bytes": 0}]


def test_an_archived_delivery_is_shown_whole_and_replayed(settings: Settings) -> None:
    shown = json.loads(run(settings, "delivery", "show", first(settings), "--json").stdout)["request"]
    run(settings, "archive", "run")
    archived = json.loads(run(settings, "delivery", "show", first(settings), "--json").stdout)["request"]
    assert archived.pop("stands").startswith("segment:")
    assert shown.pop("stands") == "in the row"
    assert archived == shown
    replayed = run(settings, "delivery", "replay", first(settings), "--json")
    assert (replayed.exit_code, json.loads(replayed.stdout)["verdict"]) == (0, "accepted")


def test_a_segment_that_was_changed_fails_the_verification(settings: Settings) -> None:
    run(settings, "archive", "run")
    assert run(settings, "archive", "verify").exit_code == 0
    (file,) = (settings.data / "objects").rglob("*.parquet")
    file.write_bytes(file.read_bytes() + b"x")
    found = run(settings, "archive", "verify", "--json")
    assert (found.exit_code, lines(found)[0]["problem"]) == (
        1,
        f"{file.relative_to(settings.data / 'objects')} is not the file that was written",
    )


@pytest.mark.parametrize("archived", [False, True])
def test_an_erased_payload_is_in_no_file_of_the_data_folder(settings: Settings, archived: bool) -> None:
    id, body = first(settings), b'"sku": "marked", "qty": "17"'
    assert [f.name for f in settings.data.rglob("*") if f.is_file() and body in f.read_bytes()] == ["tiffin.db"]
    if archived:
        run(settings, "archive", "run")
    assert run(settings, "delivery", "erase", id, "--why", "asked for").exit_code == 0
    shown = json.loads(run(settings, "delivery", "show", id, "--json").stdout)
    assert shown["request"]["body"] == "(The payload was erased.)"
    # The outbox's and the bus's commands stay: it is the request's own bytes that are looked for.
    assert [f.name for f in settings.data.rglob("*") if f.is_file() and body in f.read_bytes()] == []


def test_an_erased_delivery_is_not_replayed(settings: Settings) -> None:
    id = first(settings)
    run(settings, "delivery", "erase", id, "--why", "asked for")
    found = run(settings, "delivery", "replay", id, "--json")
    assert (found.exit_code, json.loads(found.stdout)["failures"][0]["code"]) == (1, "payload_erased")


def test_the_audit_knows_of_runs_and_erasures(settings: Settings) -> None:
    run(settings, "archive", "run")
    run(settings, "delivery", "erase", first(settings), "--why", "asked for")
    told = json.loads(run(settings, "audit", "list", "--json").stdout)
    assert [(one["what"], one["why"]) for one in told] == [("delivery.erase", "asked for"), ("archive.run", "")]
    assert run(settings, "audit", "verify").exit_code == 0


def test_what_is_not_there_cannot_be_erased(settings: Settings) -> None:
    found = run(settings, "delivery", "erase", "nowhere", "--why", "x")
    assert (found.exit_code, "There is no delivery nowhere." in found.output) == (1, True)
