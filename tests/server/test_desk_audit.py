"""The audit at the desk: exported by admins, as a file that verifies it later."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from cli.main import tiffin
from server.desk import audit as page
from stores import audit
from tests.flows.scenery import database, on_database
from tests.server.desk_visits import Visitor

pytestmark = pytest.mark.usefixtures("everywhere")


def add(running, count: int, at: datetime) -> None:
    with database(running.settings, writing=True) as transaction:
        for n in range(count):
            audit.append(transaction, at, "ann", "test", f"<b>{n}\u202e")


def test_an_export_has_every_entry_and_verifies_the_audit(running, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(page, "_AT_ONCE", 3)
    add(running, 10, datetime.now(UTC))
    answer = Visitor(running).post("/desk/audit/export", why="the yearly review")
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-')
    lines = answer.text.splitlines()
    assert [json.loads(one)["what"] for one in lines] == ["test"] * 10 + ["desk.sign_in", "audit.export"]
    assert json.loads(lines[-1])["why"] == "the yearly review"
    file = tmp_path / "audit.jsonl"
    file.write_text(answer.text)
    for name, value in on_database().items():
        monkeypatch.setenv(f"TIFFIN_{name.upper()}", value)
    verified = CliRunner().invoke(tiffin, ["audit", "verify", "--against", str(file), "--data", str(tmp_path / "data")])
    assert (verified.exit_code, verified.output) == (0, "12 entries, unbroken\n")


def test_an_export_begins_where_it_is_told(running) -> None:
    add(running, 2, datetime.now(UTC) - timedelta(days=40))
    since = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    answer = Visitor(running).post("/desk/audit/export", since=since)
    assert [json.loads(one)["what"] for one in answer.text.splitlines()] == ["desk.sign_in", "audit.export"]


def test_a_time_that_is_none_is_refused(running) -> None:
    assert Visitor(running).post("/desk/audit/export", since="yesterday").status_code == 400


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_only_admins_export(running, role) -> None:
    visitor = Visitor(running, role)
    assert visitor.post("/desk/audit/export").status_code == 403
    assert "/desk/audit/export" not in visitor.get("/desk/audit").text
