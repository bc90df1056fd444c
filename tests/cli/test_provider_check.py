"""`tiffin provider check` as an engineer meets it: a process, its output and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MISTAKES = ROOT / "tests" / "data" / "ten.yaml"
PLANTED = [
    (5, 11, "wrong_type"),
    (7, 50, "unknown_time_zone"),
    (8, 16, "no_replay_protection"),
    (15, 5, "unknown_key"),
    (18, 18, "unknown_command"),
    (23, 20, "expression_syntax"),
    (28, 15, "number_comparison"),
    (31, 11, "unknown_field"),
    (32, 18, "unknown_function"),
    (36, 9, "missing_field"),
    (37, 20, "unknown_variable"),
    (43, 43, "unknown_lookup"),
    (44, 36, "wrong_value"),
]


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", "provider", "check", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_every_planted_mistake_is_named_at_its_line_and_column() -> None:
    done = check(str(MISTAKES), "--format", "json")
    found = [(one["line"], one["column"], one["code"]) for one in json.loads(done.stdout)]
    assert found == PLANTED
    assert done.returncode == 1


def test_a_person_sees_the_line_and_a_caret_under_the_culprit() -> None:
    lines = check(str(MISTAKES)).stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if "[unknown_function]" in line)
    assert lines[at + 1].strip() == "price: $trimm(price)"
    assert lines[at + 2].index("^") == lines[at + 1].index("$trimm")
    assert lines[at + 3].strip() == "did you mean $trim?"


def test_every_provider_file_that_ships_is_without_errors() -> None:
    done = check()
    assert done.returncode == 0, done.stdout


def variant(folder: Path, base: str) -> Path:
    (folder / "unicommerce.yaml").write_bytes((ROOT / "providers" / "unicommerce.yaml").read_bytes())
    file = folder / "second.yaml"
    file.write_text(f"spec: tiffin/v1\nprovider: second\ntitle: Second\nrevision: 1\nextends: {base}\n")
    return file


def test_a_file_that_extends_one_beside_it_is_checked_with_it(tmp_path: Path) -> None:
    done = check(str(variant(tmp_path, "unicommerce@1")))
    assert done.returncode == 0, done.stdout


def test_a_base_that_is_not_there_is_named_at_its_place(tmp_path: Path) -> None:
    done = check(str(variant(tmp_path, "nobody@1")), "--format", "json")
    assert [(one["line"], one["code"]) for one in json.loads(done.stdout)] == [(5, "base_missing")]


def test_a_base_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    file = variant(tmp_path, "unicommerce@1")
    (tmp_path / "unicommerce.yaml").write_bytes(b"title: \xff\n")
    done = check(str(file), "--format", "json")
    assert done.returncode == 1, done.stderr
    assert "file_not_utf8" in [one["code"] for one in json.loads(done.stdout)]
