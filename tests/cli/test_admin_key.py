"""tiffin admin-key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import tiffin


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(tiffin, ["admin-key", *arguments])


def test_a_token_is_printed_once_and_alone_on_standard_output() -> None:
    made = run("create", "ravi", "--role", "support", "--expires", "90d")
    assert made.stdout.startswith("tfn_")
    assert made.stdout.count("\n") == 1
    listed = run("list", "--json").stdout
    assert made.stdout.strip() not in listed
    [key] = json.loads(listed)
    assert (key["name"], key["role"], key["state"]) == ("ravi", "support", "valid")
    assert "hash" not in key


def test_a_revoked_key_is_listed_as_revoked() -> None:
    run("create", "ravi", "--role", "viewer")
    assert run("revoke", "ravi", "--why", "left the team").exit_code == 0
    assert json.loads(run("list", "--json").stdout)[0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("create", "a b", "--role", "viewer"), 2, "NAME may hold"),
        (("create", "TIFFIN_ADMIN_KEY", "--role", "viewer"), 2, "NAME may hold"),
        (("create", "x", "--role", "owner"), 2, "owner"),
        (("create", "x"), 2, "--role"),
        (("create", "x", "--role", "viewer", "--expires", "soon"), 2, "write 0s"),
        (("revoke", "nobody"), 1, "tiffin admin-key list"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_do(arguments: tuple[str, ...], status: int, said: str) -> None:
    refused = run(*arguments)
    assert refused.exit_code == status
    assert said in refused.output
