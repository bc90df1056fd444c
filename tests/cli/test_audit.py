"""tiffin audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, update

from cli.main import tiffin
from flows.settings import Settings
from stores import audit, tables
from tests.flows.scenery import database, settings_in


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    made = settings_in(tmp_path)
    run(made, "connection", "limit", "one", "2")
    run(made, "connection", "disable", "one")
    return made


def run(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(tiffin, [*arguments, "--data", str(settings.data)])


def test_an_export_has_every_entry_the_oldest_first(settings: Settings) -> None:
    lines = [json.loads(line) for line in run(settings, "audit", "export").stdout.splitlines()]
    assert [line["what"] for line in lines] == ["connection.limit", "connection.disable"]


def test_what_was_exported_verifies_against_the_audit_that_went_on(settings: Settings) -> None:
    assert run(settings, "audit", "export", "kept.jsonl").exit_code == 0
    run(settings, "connection", "limit", "one", "--default")
    assert run(settings, "audit", "verify", "--against", "kept.jsonl").exit_code == 0


def test_an_audit_that_was_written_anew_is_found_by_its_export(settings: Settings) -> None:
    run(settings, "audit", "export", "kept.jsonl")
    with database(settings, writing=True) as transaction:
        kept = audit.entries(transaction)
        transaction.execute(delete(tables.audit))
        transaction.execute(delete(tables.audit_end))
        for entry in reversed(kept):
            audit.append(transaction, entry.at, "somebody else", entry.what, entry.target)
    assert run(settings, "audit", "verify").exit_code == 0
    found = run(settings, "audit", "verify", "--against", "kept.jsonl", "--json")
    assert (found.exit_code, json.loads(found.stdout)["first_that_differs"]) == (1, 1)


def test_a_tampered_entry_is_named_and_ends_with_status_1(settings: Settings) -> None:
    with database(settings, writing=True) as transaction:
        transaction.execute(update(tables.audit).where(tables.audit.c.id == 2).values(who="somebody else"))
    found = run(settings, "audit", "verify", "--json")
    assert (found.exit_code, json.loads(found.stdout)["first_broken"]) == (1, 2)


def test_a_file_that_is_no_export_is_refused_with_its_line(settings: Settings) -> None:
    Path("no.jsonl").write_text("{}\n")
    refused = run(settings, "audit", "verify", "--against", "no.jsonl")
    assert (refused.exit_code, "no.jsonl, line 1" in refused.output) == (1, True)
