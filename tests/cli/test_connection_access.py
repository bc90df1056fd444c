"""tiffin connection secret, enable, allow and share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from cli.main import tiffin
from flows.settings import Settings
from stores import tables
from tests.flows.scenery import SECRET, database, deliveries_of, settings_in, stock, stored_bytes
from tests.server.conftest import Running, start  # noqa: F401 a fixture

NEXT = "the-next-secret-of-the-tests"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return settings_in(tmp_path)


def run(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(tiffin, ["connection", *arguments, "--data", str(settings.data)])


def audited(settings: Settings) -> list[str]:
    with database(settings) as transaction:
        return list(transaction.scalars(select(tables.audit.c.what).order_by(tables.audit.c.id)))


def secrets(settings: Settings) -> list[dict[str, Any]]:
    return json.loads(run(settings, "secret", "list", "one", "--json").stdout)


def test_requests_verify_with_each_secret_that_holds_and_no_longer_with_one_that_ended(settings, start) -> None:  # noqa: F811
    assert run(settings, "secret", "add", "one", "--secret", f"key={NEXT}", "--expires", "1h").exit_code == 0
    both: Running = start(settings)
    assert [both.post(stock(s), secret=s).status_code for s in (SECRET, NEXT)] == [200, 200]
    both.stop()
    old = secrets(settings)[-1]["id"]
    assert run(settings, "secret", "expire", "one", str(old), "--why", "it was in a mail").exit_code == 0
    one: Running = start(settings)
    assert [one.post(stock("x" + s), secret=s).status_code for s in (SECRET, NEXT)] == [401, 200]
    assert audited(settings) == ["connection.secret.add", "connection.secret.expire"]


def test_secrets_are_listed_without_their_values_and_kept_encrypted(settings) -> None:
    run(settings, "secret", "add", "one", "--secret", f"key={NEXT}")
    shown = run(settings, "secret", "list", "one").output
    assert [row["state"] for row in secrets(settings)] == ["valid", "valid"]
    assert NEXT not in shown
    assert NEXT.encode() not in stored_bytes(settings)


def test_the_last_secret_of_a_name_is_not_ended_unasked(settings) -> None:
    [only] = secrets(settings)
    refused = run(settings, "secret", "expire", "one", str(only["id"]))
    assert (refused.exit_code, "--force" in refused.output) == (1, True)
    assert run(settings, "secret", "expire", "one", str(only["id"]), "--force").exit_code == 0
    assert secrets(settings)[0]["state"] == "expired"


@pytest.mark.parametrize("arguments", [("nowhere", "1"), ("one", "99")])
def test_a_secret_that_there_is_not_is_named(settings, arguments) -> None:
    refused = run(settings, "secret", "expire", *arguments)
    assert (refused.exit_code, arguments[0] in refused.output) == (1, True)


def test_a_secret_that_is_too_short_is_refused(settings) -> None:
    assert run(settings, "secret", "add", "one", "--secret", "key=x").exit_code == 1
    assert len(secrets(settings)) == 1


def test_a_disabled_connection_is_refused_and_stores_nothing_until_it_is_enabled(settings, start) -> None:  # noqa: F811
    run(settings, "disable", "one")
    refusing: Running = start(settings)
    assert refusing.post(stock("e-1")).status_code == 401
    assert deliveries_of(settings) == []
    refusing.stop()
    assert run(settings, "enable", "one", "--why", "paid").exit_code == 0
    taking: Running = start(settings)
    assert taking.post(stock("e-1")).status_code == 200
    assert audited(settings) == ["connection.disable", "connection.enable"]


def test_only_listed_addresses_may_call(settings, start) -> None:  # noqa: F811
    assert run(settings, "allow", "one", "192.0.2.0/24", "--why", "their network").exit_code == 0
    refusing: Running = start(settings)
    assert refusing.post(stock("e-1")).status_code == 401
    refusing.stop()
    assert run(settings, "allow", "one", "--any").exit_code == 0
    taking: Running = start(settings)
    assert taking.post(stock("e-1")).status_code == 200
    with database(settings) as transaction:
        told = [
            json.loads(data) for data in transaction.scalars(select(tables.audit.c.data).order_by(tables.audit.c.id))
        ]
    assert told == [{"before": [], "after": ["192.0.2.0/24"]}, {"before": ["192.0.2.0/24"], "after": []}]


def test_a_share_is_set_and_taken_back(settings) -> None:
    assert run(settings, "share", "one", "25").exit_code == 0
    assert run(settings, "share", "one", "--default").exit_code == 0
    assert audited(settings) == ["connection.share"] * 2


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("allow", "one"), 2),
        (("allow", "one", "192.0.2.1/24"), 2),
        (("allow", "nowhere", "--any"), 1),
        (("enable", "nowhere"), 1),
        (("share", "one", "0"), 2),
        (("share", "one"), 2),
        (("secret", "list", "nowhere"), 1),
        (("secret", "add", "nowhere", "--secret", "key=abc"), 1),
        (("secret", "add", "one", "--secret", f"key={NEXT}", "--expires", "soon"), 2),
    ],
)
def test_what_cannot_be_done_is_refused(settings, arguments, status) -> None:
    assert run(settings, *arguments).exit_code == status
    assert audited(settings) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("rotate", "one", "--secret", f"key={NEXT}"), {"secrets": ["key"]}),
        (("disable", "one"), {"enabled": False}),
        (("enable", "one"), {"enabled": True}),
        (("override", "one", "--none"), {"after": ""}),
        (("limit", "one", "50"), {"rate": 50.0}),
        (("share", "one", "25"), {"percent": 25}),
        (("allow", "one", "192.0.2.0/24"), {"allow": ["192.0.2.0/24"]}),
        (("secret", "expire", "one", "1", "--force"), {"secret": 1, "name": "key"}),
    ],
)
def test_every_change_is_told_in_json_and_audited_with_its_reason(settings, arguments, told) -> None:
    done = run(settings, *arguments, "--json", "--why", "as agreed")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout).items() >= {"id": "one", **told}.items()
    with database(settings) as transaction:
        [why] = transaction.scalars(select(tables.audit.c.why))
    assert why == "as agreed"


def test_a_connection_is_added_with_its_reason(settings) -> None:
    secret = ("--secret", f"key={NEXT}")
    added = run(settings, "add", "acme", "--tenant", "south", *secret, "--json", "--why", "signed on Monday")
    assert added.exit_code == 0, added.output
    with database(settings) as transaction:
        assert list(transaction.scalars(select(tables.audit.c.why))) == ["signed on Monday"]


def test_every_connection_command_prints_json() -> None:
    group: Any = tiffin.get_command(click.Context(tiffin), "connection")
    commands = [*group.commands.values(), *group.commands["secret"].commands.values()]
    without = [one.name for one in commands if one.name != "secret" and "as_json" not in {p.name for p in one.params}]
    assert without == []
