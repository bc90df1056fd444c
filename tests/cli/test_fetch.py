"""tiffin fetch."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import tiffin
from cli.store import opened
from engine.failures import Failure
from stores import fetch_jobs
from tests.flows.refreshing.test_fetcher import SHOP

Change = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("providers").mkdir()
    Path("providers/shop.yaml").write_text(SHOP.replace("HOST", "https://api.shop.test"))
    monkeypatch.setenv("TIFFIN_PROVIDERS", "providers")
    for id in ("one", "two"):
        options = ("--tenant", "north", "--id", id, "--merchant", "mer_1", "--secret", "api_key=an-api-key-of-the-shop")
        assert CliRunner().invoke(tiffin, ["connection", "add", "shop", *options]).exit_code == 0


def run(*arguments: str) -> Result:
    return CliRunner().invoke(tiffin, ["fetch", *arguments])


def told(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def change(what: Change) -> Any:
    with opened(None) as store, store.writing() as transaction:
        return what(transaction)


def begun(*options: str) -> str:
    id: str = told("start", "shop", "--connection", "one", *options)["id"]
    return id


def audited() -> list[str]:
    lines = json.loads(CliRunner().invoke(tiffin, ["audit", "list", "--json"]).stdout)
    return [line["what"] for line in lines if line["what"].startswith("fetch.")]


def test_a_fetch_that_is_begun_waits_for_a_server_and_is_listed() -> None:
    id = begun()
    (job,) = told("list")
    assert (job["id"], job["state"], job["connection"], job["feed"], job["kind"]) == (
        id,
        "open",
        "one",
        "events",
        "stock",
    )
    assert (job["pages"], job["running"], job["every"], job["cause"]) == (0, False, None, None)
    assert told("list", "--state", "failed") == told("list", "--provider", "other") == []
    assert audited() == ["fetch.start"]


def test_a_fetch_that_waits_is_not_begun_again() -> None:
    begun()
    done = run("start", "shop", "--connection", "one")
    assert done.exit_code == 1
    assert "waits already" in done.output
    assert begun("--id", "another")


def test_a_fetch_shows_its_pages_as_deliveries() -> None:
    id = begun()
    now = datetime.now(UTC)
    (job,) = change(lambda t: fetch_jobs.take(t, "a", now, now, ["d-1"]))
    change(lambda t: fetch_jobs.advance(t, job, "a", (1, now), '["https://api.shop.test/?token=x", null]', "d-2"))
    shown = told("show", id)
    assert [(page["page"], page["delivery"]) for page in shown["deliveries"]] == [(1, "d-1")]
    assert "token=x" not in run("show", id).output + json.dumps(shown)


def test_a_failed_fetch_is_retried_and_the_audit_knows() -> None:
    id = begun()
    now = datetime.now(UTC)
    (job,) = change(lambda t: fetch_jobs.take(t, "a", now, now, ["d-1"]))
    failure = Failure("processing", "fetch_refused", "It said 404.", "Look.").to_json()
    change(lambda t: fetch_jobs.give_up(t, job, "a", now, "the provider answered 404", failure))
    assert told("show", id)["last_error"] == "the provider answered 404"
    assert told("retry", id, "--why", "it is back")["state"] == "open"
    assert sorted(audited()) == ["fetch.retry", "fetch.start"]


def test_a_cancelled_fetch_is_retried_but_not_cancelled_twice() -> None:
    id = begun()
    assert told("cancel", id)["state"] == "cancelled"
    assert "is cancelled" in run("cancel", id).output
    assert told("retry", id)["state"] == "open"


def test_a_fetch_in_hand_is_not_retried() -> None:
    id = begun()
    now = datetime.now(UTC)
    change(lambda t: fetch_jobs.take(t, "a", now, now, ["d-1"]))
    done = run("retry", id)
    assert (done.exit_code, "is worked on" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("show", "nobody"), 1, "tiffin fetch list"),
        (("retry", "nobody"), 1, "tiffin fetch list"),
        (("cancel", "nobody"), 1, "tiffin fetch list"),
        (("start", "nobody"), 1, "There is no provider nobody"),
        (("start", "shop"), 1, "2 connections fit; name one with --connection"),
        (("start", "shop", "--connection", "three"), 1, "no connection fits"),
        (("start", "shop", "--kind", "menu"), 1, "Rules with fetch in shop: events/stock"),
        (("list", "--state", "lost"), 2, "lost"),
        (("list", "--limit", "0"), 2, "0"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(arguments: tuple[str, ...], status: int, said: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, said in done.output) == (status, True), done.output
