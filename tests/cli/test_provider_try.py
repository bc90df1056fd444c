"""`tiffin provider try` beside an older file, and watching."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import cli.provider_check
from tests.cli.provider_folder import BODY, folder, run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = folder(tmp_path)
    (made / "body.json").write_text(BODY.replace(', {"code": "c", "rate": "x"}', ""))
    return made


def older(root: Path, before: str, after: str) -> Path:
    file = root / "old.yaml"
    file.write_text((root / "providers" / "corner.yaml").read_text().replace(before, after))
    return file


def tried(root: Path, *more: str | Path) -> Any:
    file, body = root / "providers" / "corner.yaml", root / "body.json"
    return run("try", file, "--feed", "prices", "--body", body, *more)


def test_what_differs_from_an_older_file_is_said_by_meaning(root: Path) -> None:
    result = tried(root, "--diff", older(root, "price: rate", "price: {value: 1}"))
    assert result.exit_code == 0
    assert "1 price changed (UpdatePrice.price)" in result.output


def test_an_older_file_that_says_the_same_is_told_to(root: Path) -> None:
    result = tried(root, "--diff", older(root, "title: Corner Till", "title: Corner"))
    assert "same as the older file" in result.output


def test_differences_stand_in_the_json(root: Path) -> None:
    told = json.loads(tried(root, "--json", "--diff", older(root, "event_id: [id]", "event_id: [id, shop]")).output)
    assert next((one["kind"], one["alarming"]) for one in told["differences"]) == ("idempotency_key", True)


def test_without_diff_the_json_has_its_fixed_shape(root: Path) -> None:
    told = json.loads(tried(root, "--json").output)
    assert list(told) == ["verdict", "feed", "event", "idempotency_key", "commands", "failures", "reply"]


def test_watching_tries_again_after_a_change_and_outlasts_a_file_that_does_not_load(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = root / "providers" / "corner.yaml"
    good = file.read_text()
    steps = iter([good.replace("price: rate", "prize: rate"), good.replace("price: rate", "price: {value: 7}"), None])

    def pause() -> bool:
        text = next(steps)
        if text is None:
            return False
        file.write_text(text)
        os.utime(file, ns=(10**18 + len(text), 10**18 + len(text)))
        return True

    monkeypatch.setattr(cli.provider_check, "_pause", pause)
    result = tried(root, "--watch")
    assert result.output.count("--- ") == 3
    assert "did you mean price" in result.output
    assert '"amount": "7.00"' in result.output


def test_watching_standard_input_is_wrong_usage(root: Path) -> None:
    file = root / "providers" / "corner.yaml"
    assert run("try", file, "--feed", "prices", "--body", "-", "--watch", input=BODY).exit_code == 2
