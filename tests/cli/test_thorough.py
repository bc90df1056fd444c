"""`tiffin provider test --thorough` on a checkout of one invented provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import tiffin
from cli.thorough import examined

FILE = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: erp
revision: 1
evidence: official
defaults: {currency: INR, unit: each}
auth: {scheme: token, header: X-Key, secret: key}
feeds:
  stock:
    idempotency: {payload_hash: {against: last}}
    commands:
      levels:
        command: UpdateStockLevel
        each: 'EACH'
        fields: {variant_id: id, quantity: qty}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    case = tmp_path / "tests" / "golden" / "corner" / "stock" / "usual"
    case.mkdir(parents=True)
    (tmp_path / "tests/golden/test_golden.py").write_text("def test_corner():\n    assert True\n")
    (tmp_path / "tests/golden/corner/context.yaml").write_text("connection: {merchant: M1, secrets: {key: k}}\n")
    (case / "request.yaml").write_text('why: "Two lines."\n')
    (case / "body.json").write_text('{"items": [{"id": "A", "qty": "4"}, {"id": "B", "qty": "5"}]}')
    (tmp_path / "providers").mkdir()
    written(tmp_path, "items")
    return tmp_path


def written(checkout: Path, each: str) -> None:
    (checkout / "providers" / "corner.yaml").write_text(FILE.replace("EACH", each))


def run(checkout: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(tiffin, ["provider", "test", "corner", "--root", str(checkout), *arguments])
    return done.exit_code, done.stdout


def test_sound_cases_are_counted(checkout):
    status, told = run(checkout, "--thorough")
    assert told.splitlines()[-1] == "1 case, 11 variants: 0 faults, 0 differences by hash order, 0 by clock"
    assert status == 0


def test_a_fault_is_told_with_its_body_and_fails(checkout):
    written(checkout, 'items#$n.{"id": id, "qty": $string($n)}')
    status, told = run(checkout, "--thorough")
    assert "fault  corner-stock-usual · shuffled: UpdateStockLevel" in told
    assert 'body  {"items": [{"id": "B", "qty": "5"}, {"id": "A", "qty": "4"}]}' in told
    assert status == 1


def test_what_hangs_on_the_clock_is_told_and_does_not_fail(checkout):
    written(checkout, 'items.{"id": id, "qty": $substring($request.received_at, 8, 2)}')
    report = examined(checkout, ["corner"])
    assert report.sound
    assert any("quantity" in one for one in report.by_clock)


def test_programs_get_one_json_document(checkout):
    status, told = run(checkout, "--thorough", "--json")
    read: dict[str, Any] = json.loads(told)
    assert read == {"passed": True, "cases": 1, "variants": 11, "faults": [], "by_clock": [], "by_hash_order": []}
    assert status == 0


def test_without_thorough_the_snapshots_alone_decide(checkout):
    written(checkout, 'items#$n.{"id": id, "qty": $string($n)}')
    status, told = run(checkout, "--json")
    assert json.loads(told) == {"passed": True}
    assert status == 0


def test_a_folder_without_tiffins_own_tests_gives_programs_one_json_document_too(checkout):
    (checkout / "tests/golden/test_golden.py").unlink()
    status, told = run(checkout, "--json")
    assert json.loads(told) == {"passed": False}
    assert status == 1
