"""tiffin connection verify-again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.settings import Settings
from tests.cli.test_audit import run
from tests.flows.scenery import deliveries_of, rotate_secret, settings_in
from tests.flows.test_verify_again import MEANT, WRONG, quarantined


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    made = settings_in(tmp_path)
    quarantined(made, a=MEANT, b=WRONG)
    rotate_secret(made, "one", "key", MEANT)
    return made


def test_each_request_is_told_then_the_sums_and_it_is_audited(settings: Settings) -> None:
    done = run(settings, "connection", "verify-again", "one", "--json", "--why", "the secret was mended")
    *lines, sums = map(json.loads, done.stdout.splitlines())
    assert [line["verdict"] for line in lines] == ["accepted", "unauthorized"]
    assert (sums["verdicts"], done.exit_code) == ({"accepted": 1, "unauthorized": 1}, 1)
    [entry] = json.loads(run(settings, "audit", "list", "--json").stdout)
    assert (entry["what"], entry["target"], entry["why"]) == (
        "connection.verify_again", "one", "the secret was mended"
    )  # fmt: skip


def test_a_preview_says_what_would_verify_and_is_not_audited(settings: Settings) -> None:
    assert "1 verifies, 1 unauthorized" in run(settings, "connection", "verify-again", "one", "--dry-run").output
    assert [row.state for row in deliveries_of(settings)] == ["quarantined"] * 2
    assert json.loads(run(settings, "audit", "list", "--json").stdout) == []


def test_a_connection_that_there_is_not_is_named(settings: Settings) -> None:
    refused = run(settings, "connection", "verify-again", "nowhere")
    assert (refused.exit_code, "no connection nowhere" in refused.output) == (1, True)
