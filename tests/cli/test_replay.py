"""tiffin delivery replay and tiffin failure replay leave open only what is still wrong."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from cli.main import tiffin
from stores import audit, failures
from tests.flows.scenery import database, deliver, deliveries_of, settings_in, started, stock


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = settings_in(tmp_path)

    async def run() -> None:
        async with started(made) as service:
            await deliver(service, stock(a="many"))

    asyncio.run(run())
    return made


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(tiffin, arguments)
    assert result.exit_code == status, result.output
    return result.stdout


def mended(settings) -> None:
    file = settings.providers / "acme.yaml"
    file.write_text(file.read_text().replace("quantity: qty", 'quantity: \'qty = "many" ? "99" : qty\''))


def open_attempts(settings) -> list[int]:
    with database(settings) as transaction:
        return [one.attempt for one in failures.listed(transaction, {})]


def commands(settings) -> list[list[str]]:
    [delivery] = deliveries_of(settings)
    with database(settings) as transaction:
        [failure] = failures.listed(transaction, {})
    return [["delivery", "replay", delivery.id], ["failure", "replay", str(failure.id)],
            ["failure", "replay", "--provider", "acme"]]  # fmt: skip


@pytest.mark.parametrize("which", range(3))
def test_a_replay_that_is_accepted_closes_what_was_wrong_before(settings, which) -> None:
    mended(settings)
    run(*commands(settings)[which])
    assert open_attempts(settings) == []


def test_a_replay_that_fails_again_leaves_its_own_failure_open_alone(settings) -> None:
    run(*commands(settings)[0], status=1)
    assert open_attempts(settings) == [2]


@pytest.mark.parametrize("which", range(3))
def test_a_replay_as_then_is_by_the_file_of_then(settings, which) -> None:
    mended(settings)
    said = json.loads(run(*commands(settings)[which], "--as", "then", "--json", status=1))
    assert said["verdict"] == "rejected"
    with database(settings) as transaction:
        [entry] = [one for one in audit.entries(transaction) if one.what == "delivery.replay"]
    assert json.loads(entry.data)["as"] == "then"
