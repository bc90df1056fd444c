"""tiffin alert …, with a real receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from cli.main import tiffin
from stores import audit
from tests.flows.alerting.receivers import Receiver, receiver
from tests.flows.scenery import database, settings_in


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings_in(tmp_path)

    def invoke(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(tiffin, ["alert", *arguments])
        assert result.exit_code == status, result.output
        return result.output

    return invoke


def test_a_rule_is_added_listed_and_removed_and_all_of_it_is_audited(run, tmp_path) -> None:
    url = "https://hooks.example:8443/x?token=do-not-show-me"
    said = json.loads(run("add", "outbox_age", "--url", url, "--above", "10m", "--why", "slow broker", "--json"))
    assert said["secret"].startswith("whsec_")
    listed = run("list", "--json")
    [rule] = json.loads(listed)
    assert (rule["kind"], rule["above"], rule["host"], rule["firing"], rule["last"]) == (
        "outbox_age", 600, "https://hooks.example:8443", [], None,
    )  # fmt: skip
    assert "do-not-show-me" not in listed + run("list")
    run("remove", rule["id"], "--why", "another channel")
    assert json.loads(run("list", "--json")) == []
    with database(settings_in(tmp_path)) as transaction:
        told = [(one.what, one.target, one.why) for one in audit.entries(transaction)]
    assert told == [("alert.remove", rule["id"], "another channel"), ("alert.add", rule["id"], "slow broker")]


def test_a_test_message_reaches_an_own_network_that_is_named(run, receiving, monkeypatch) -> None:
    monkeypatch.setenv("TIFFIN_ALERT_NETWORKS", "127.0.0.0/8")
    id = run("add", "quarantine", "--url", receiving.url).splitlines()[0]
    assert run("test", id) == f"taken by {receiving.url.split('/hook')[0]}\n"
    assert receiving.types == ["alert.test"]
    assert json.loads(run("list", "--json"))[0]["last"]["problem"] == ""


def test_a_test_to_an_address_that_is_not_public_says_so_and_fails(run, receiving) -> None:
    id = run("add", "quarantine", "--url", receiving.url).splitlines()[0]
    assert "has an address that is not public" in run("test", id, status=1)
    assert receiving.told == []


def test_a_secret_of_ones_own_is_taken_from_a_file_and_not_printed(run, tmp_path) -> None:
    (tmp_path / "secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    added = ("add", "quarantine", "--url", "https://hooks.example/", "--secret")
    assert "whsec_" not in run(*added, "@secret")
    assert "base64" in run(*added, "env:NOT_SET", status=1)
    assert "env:VAR or @file" in run(*added, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", status=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--url", "ftp://hooks.example/"), "https"),
        (("--url", "https://ann:pw@hooks.example/"), "user"),
        (("--url", "https://hooks.example:99999/"), "cannot be read"),
        (("--url", "https://hooks.example/", "--above", "101"), "out of range"),
        (("--url", "https://hooks.example/", "--within", "2d"), "a minute to a day"),
        (("--url", "https://hooks.example/", "--remind", "1s"), "five minutes"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(run, arguments, said) -> None:
    output = run("add", "failure_rate", *arguments, status=1)
    assert said in output
    assert "pw@" not in output


@pytest.mark.parametrize("command", [("remove", "al0"), ("test", "al0")])
def test_an_alert_that_there_is_not_is_said(run, command) -> None:
    assert "There is no alert al0" in run(*command, status=1)


def test_an_age_of_the_outbox_takes_no_provider(run) -> None:
    assert "of all deliveries" in run(
        "add", "outbox_age", "--url", "https://h.example/", "--provider", "acme", status=1
    )
