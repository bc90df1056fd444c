"""`tiffin provider new`: from a sample to a file that checks and a golden case that passes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.provider_folder import run

SAMPLE = '{"event_id": "e1", "branch": "B-1", "rows": [{"sku": "A", "stock": 4, "selling_price": "9.50"}]}'


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    file = tmp_path / "Levels of branch.json"
    file.write_text(SAMPLE)
    return file


def test_the_new_file_passes_check_and_its_case_passes_test(tmp_path: Path, sample: Path) -> None:
    assert run("new", "corner", "--from", sample, "--root", tmp_path).exit_code == 0
    checked = run("check", tmp_path / "providers" / "corner.yaml", "--json")
    assert (checked.exit_code, json.loads(checked.output)) == (0, [])
    assert run("test", "corner", "--root", tmp_path).output == "1 cases, 0 differ\n"


def test_the_case_is_verified_and_its_store_is_mapped(tmp_path: Path, sample: Path) -> None:
    run("new", "corner", "--from", sample, "--root", tmp_path)
    (pin,) = (tmp_path / "tests" / "golden" / "__snapshots__" / "test_golden").iterdir()
    (told,) = json.loads(pin.read_text())
    assert (told["verdict"], {c["data"]["store_id"] for c in told["commands"]}) == ("accepted", {"sto_b_1"})


def test_guesses_are_told_with_how_sure_they_are(tmp_path: Path, sample: Path) -> None:
    result = run("new", "corner", "--from", sample, "--root", tmp_path, "--json")
    told = json.loads(result.output)
    by_where = {guess["where"]: guess for guess in told["guesses"]}
    assert by_where["auth"]["word"] == "a guess"
    assert by_where["feeds.stock.commands.levels.fields.quantity"]["word"] == "sure"
    assert told["files"][0] == "providers/corner.yaml"
    assert told["cases"] == [{"sample": sample.name, "feed": "stock", "verdict": "accepted", "commands": 2}]


def test_nothing_is_written_over(tmp_path: Path, sample: Path) -> None:
    run("new", "corner", "--from", sample, "--root", tmp_path)
    result = run("new", "corner", "--from", sample, "--root", tmp_path)
    assert result.exit_code == 1
    assert "stand already" in result.output


def test_a_dry_run_prints_the_file_alone(tmp_path: Path, sample: Path) -> None:
    result = run("new", "corner", "--from", sample, "--root", tmp_path, "--dry-run")
    assert "command: UpdateStockLevel" in result.output
    assert not (tmp_path / "providers").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("Corner!",), "no name of a provider"),
        (("corner", "--currency", "RUPEES"), "no ISO 4217 currency"),
        (("corner", "--time-zone", "Delhi"), "no IANA time zone"),
    ],
)
def test_a_wrong_wish_is_named(tmp_path: Path, sample: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run("new", *arguments, "--from", sample, "--root", tmp_path)
    assert result.exit_code == 1
    assert says in result.output


def test_without_a_sample_it_is_wrong_usage(tmp_path: Path) -> None:
    assert run("new", "corner", "--root", tmp_path).exit_code == 2


def test_a_sample_that_tells_nothing_gives_a_reason_and_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "empty.json"
    file.write_text("{}")
    result = run("new", "corner", "--from", file, "--root", tmp_path)
    assert result.exit_code == 1
    assert "empty.json" in result.output
    assert not (tmp_path / "providers").exists()
