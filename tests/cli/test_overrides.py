"""Overrides of a connection, and the resolved file, as an operator meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import schemas
from cli.main import tiffin
from engine.extending import resolve
from flows.providers import load_provider, with_overrides
from tests.flows.scenery import ACME, SECRET

LEFT = "feeds:\n  stock:\n    commands:\n      stock: {fields: {quantity: left}}\n"
VARIANT = "spec: tiffin/v1\nprovider: acme-two\nrevision: 1\nextends: acme@1\ndefaults: {unit: kg}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "acme.yaml").write_text(ACME)
    (tmp_path / "acme-two.yaml").write_text(VARIANT)
    (tmp_path / "left.yaml.txt").write_text(LEFT)
    monkeypatch.setenv("TIFFIN_PROVIDERS", str(tmp_path))
    monkeypatch.setenv("TIFFIN_DATA", str(tmp_path / "data"))
    return tmp_path


def run(*arguments: str, status: int = 0) -> Result:
    done = CliRunner().invoke(tiffin, arguments)
    assert done.exit_code == status, done.output
    return done


def add(*arguments: str, status: int = 0) -> Result:
    secret = ("--tenant", "north", "--secret", f"key={SECRET}", "--id", "mine")
    return run("connection", "add", "acme", *secret, *arguments, status=status)


def row() -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(run("connection", "list", "--json").output)
    return found[0]


def test_a_connection_is_added_with_overrides(folder):
    add("--overrides", str(folder / "left.yaml.txt"))
    assert row()["overrides"] == LEFT


def test_overrides_that_do_not_fit_are_not_stored_and_told_with_their_place(folder):
    file = folder / "wrong.txt"
    file.write_text(LEFT.replace("quantity", "quantty"))
    told = add("--overrides", str(file), status=1).output
    assert f"{file}:4:24: error: UpdateStockLevel has no field 'quantty' here [unknown_field]" in told
    assert json.loads(run("connection", "list", "--json").output) == []


def test_a_connection_s_overrides_are_changed_and_taken_away(folder):
    add()
    run("connection", "override", "mine", str(folder / "left.yaml.txt"))
    assert row()["overrides"] == LEFT
    run("connection", "override", "mine", "--none")
    assert row()["overrides"] == ""


def test_a_change_of_overrides_is_audited_with_what_was_before_and_after(folder):
    add()
    run("connection", "override", "mine", str(folder / "left.yaml.txt"))
    entries = json.loads(run("audit", "list", "--json").output)
    (entry,) = [one for one in entries if one["what"] == "connection.override"]
    data = json.loads(entry["data"]) if isinstance(entry["data"], str) else entry["data"]
    assert (entry["target"], data) == ("mine", {"before": "", "after": LEFT})


@pytest.mark.parametrize("text", ["feeds: {stock: {path: x}}\n", "feeds: {stok: {commands: {}}}\n", "a: 'b\n", ""])
def test_wrong_overrides_leave_the_old_ones(folder, text):
    add("--overrides", str(folder / "left.yaml.txt"))
    (folder / "wrong.txt").write_text(text)
    assert "nothing is stored" in run("connection", "override", "mine", str(folder / "wrong.txt"), status=1).output
    assert row()["overrides"] == LEFT


@pytest.mark.parametrize("arguments", [[], ["FILE", "--none"]])
def test_override_wants_a_file_or_none(folder, arguments):
    given = [str(folder / "left.yaml.txt") if one == "FILE" else one for one in arguments]
    run("connection", "override", "mine", *given, status=2)


def test_an_unknown_connection_is_named(folder):
    assert "no connection nobody" in run("connection", "override", "nobody", "--none", status=1).output


def test_the_resolved_file_names_the_origin_of_each_line_and_is_a_provider_file(folder):
    shown = run("provider", "show", "acme-two", "--resolved").output
    lines = {line.split("  #")[0].strip(): line.rpartition("# ")[2] for line in shown.splitlines()}
    assert lines["provider: acme-two"] == "acme-two.yaml:2"
    assert lines["unit: kg"] == "acme-two.yaml:5"
    assert lines["each: items"] == "acme.yaml:28"
    assert resolve(shown, "acme-two.yaml").data == resolve(
        load_provider(folder / "acme-two.yaml", schemas.canon()).text, "acme-two.yaml"
    ).data  # fmt: skip


def test_the_resolved_file_of_a_connection_names_its_overrides(folder):
    add("--overrides", str(folder / "left.yaml.txt"))
    shown = run("provider", "show", "acme", "--resolved", "--connection", "mine").output
    assert any(line.split() == ["quantity:", "left", "#", "overrides", "of", "mine:4"] for line in shown.splitlines())


@pytest.mark.parametrize("overridden", [True, False])
def test_the_resolved_file_as_json_has_the_hash_that_deliveries_name(folder, overridden):
    add("--overrides", str(folder / "left.yaml.txt"))
    more = ["--connection", "mine"] if overridden else []
    told = json.loads(run("provider", "show", "acme", "--resolved", "--json", *more).output)
    loaded = load_provider(folder / "acme.yaml", schemas.canon())
    assert told["hash"] == (with_overrides(loaded, LEFT) if overridden else loaded).spec_hash
    (line,) = [line for line in told["lines"] if line["text"].strip() == "title: Acme Tills"]
    assert (Path(line["file"]).name, line["line"]) == ("acme.yaml", 4)


def test_a_connection_to_another_provider_is_refused(folder):
    add()
    run("provider", "show", "acme-two", "--resolved", "--connection", "mine", status=1)


def test_try_runs_with_overrides(folder):
    body = folder / "body.json"
    body.write_text('{"event": "e", "store": "R", "items": [{"sku": "a", "left": "5"}]}')
    tried = ["provider", "try", str(folder / "acme.yaml"), "--feed", "stock", "--body", str(body), "--json"]
    told = json.loads(run(*tried, "--overrides", str(folder / "left.yaml.txt")).output)
    assert told["commands"][0]["data"]["quantity"] == {"amount": "5", "unit": "each"}
    run(*tried, status=1)
