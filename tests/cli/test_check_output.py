"""What `tiffin provider check` prints, in each format, and when it checks again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import tiffin
from cli.provider_check import checked_files, guilty, watched
from tests.flows.scenery import ACME

VARIANT = "spec: tiffin/v1\nprovider: acme-two\nrevision: 1\nextends: acme@1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acme.yaml").write_text(ACME)
    (tmp_path / "acme-two.yaml").write_text(VARIANT)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(tiffin, ["provider", "check", *arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("line", "column", "length"),
    [
        ("price: $trimm(price)", 8, 6),
        ("zone: Asia/Calcuta", 7, 12),
        ("a: 'x y' # c", 4, 5),
        ('a: "x \\" y"', 4, 8),
        ("a: `b c`.d", 4, 5),
        ("a: items[", 10, 1),
        ("a: [", 4, 1),
        ("", 1, 1),
        ("a: it''s", 99, 1),
        ("a: 'open", 4, 1),
    ],
)
def test_carets_stand_under_the_guilty_word(line, column, length):
    assert guilty(line, column) == length


def test_a_problem_in_the_base_shows_the_base_s_line(folder):
    (folder / "acme.yaml").write_text(
        ACME.replace("item_id: sku, quantity: qty", "item_id: sku, quantity: $trimm(q)", 1)
    )
    status, told = run(str(folder / "acme-two.yaml"))
    at = next(n for n, line in enumerate(told.splitlines()) if "[unknown_function]" in line)
    place, line, carets = told.splitlines()[at : at + 3]
    assert (status, place.split(":")[0]) == (1, str(folder / "acme.yaml"))
    assert carets.index("^") == line.index("$trimm(q)")
    assert carets.count("^") == len("$trimm")


def test_a_problem_of_a_base_is_told_once_for_a_whole_folder(folder):
    (folder / "acme.yaml").write_text(ACME.replace("evidence: assumed", "evidence: official").replace("sku", "$sku", 1))
    told = json.loads(run(str(folder), "--format", "json")[1])
    assert [(one["code"], Path(one["file"]).name) for one in told if one["severity"] == "error"] == [
        ("unknown_variable", "acme.yaml")
    ]


def test_the_last_line_sums_up(folder):
    assert run(str(folder / "acme.yaml"))[1].splitlines()[-1] == "1 file: 0 errors, 1 warning, 1 notice"


def test_annotations_escape_what_would_end_them(folder):
    odd = folder / "a,b.yaml"
    odd.write_text(ACME.replace("title: Acme Tills", "titel: Acme"))
    annotation = run(str(odd), "--format", "github")[1].splitlines()[0]
    assert annotation.startswith("::")
    assert "file=" + str(odd).replace(",", "%2C") in annotation


def test_a_terminal_sees_no_control_characters_of_a_file(folder):
    (folder / "acme.yaml").write_text(ACME.replace("title: Acme Tills", "title: \x1b[31mAcme"))
    status, told = run(str(folder / "acme.yaml"))
    assert (status, "\x1b" in told) == (1, False)


def test_a_file_that_is_not_utf8_is_told(folder):
    (folder / "acme.yaml").write_bytes(b"spec: tiffin/v1\ntitle: \xff\n")
    status, told = run(str(folder / "acme.yaml"), "--format", "json")
    assert (status, [(one["code"], one["line"]) for one in json.loads(told)]) == (1, [("file_not_utf8", 2)])


def touch(file: Path, text: str, at: int) -> None:
    file.write_text(text)
    os.utime(file, ns=(at, at))


def test_watching_checks_again_when_the_base_changes_and_not_otherwise(folder):
    variant, base = folder / "acme-two.yaml", folder / "acme.yaml"
    found: list[int] = []
    looks = iter(["same", "change", "same", "same"])

    def once():
        checked = checked_files((variant,))
        found.append(checked.errors)
        return checked

    def again() -> bool:
        look = next(looks, None)
        if look == "change":
            touch(base, ACME.replace("item_id: sku", "item_id: $sku"), 10**18)
        return look is not None

    watched(once, (variant,), again)
    assert found == [0, 2]


def test_watching_a_folder_sees_new_files_and_files_that_go(folder):
    found: list[int] = []
    changes = iter([lambda: (folder / "x.yaml").write_text("a: 1\n"), (folder / "acme-two.yaml").unlink])

    def once():
        checked = checked_files(tuple(sorted(folder.glob("*.yaml"))))
        found.append(len(checked.files))
        return checked

    def again() -> bool:
        change = next(changes, None)
        if change:
            change()
        return change is not None

    watched(once, (folder,), again)
    assert found == [2, 3, 2]
