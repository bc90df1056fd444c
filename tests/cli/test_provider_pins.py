"""`tiffin provider test` and its --update in a folder of golden cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.provider_folder import folder, run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path)


@pytest.fixture
def pinned(root: Path) -> Path:
    assert run("test", "--update", "--yes", "--root", root).exit_code == 0
    return root


def changed(root: Path, before: str, after: str) -> None:
    file = root / "providers" / "corner.yaml"
    file.write_text(file.read_text().replace(before, after))


def snapshots(root: Path) -> list[Path]:
    return sorted((root / "tests" / "golden" / "__snapshots__" / "test_golden").iterdir())


def test_a_case_without_a_snapshot_fails(root: Path) -> None:
    result = run("test", "corner", "--root", root)
    assert result.exit_code == 1
    assert "1 new case: corner-prices-two_prices" in result.output


def test_pinned_cases_pass(pinned: Path) -> None:
    result = run("test", "corner", "--root", pinned)
    assert (result.exit_code, result.output) == (0, "1 cases, 0 differ\n")


def test_a_change_is_told_by_meaning(pinned: Path) -> None:
    changed(pinned, "price: rate", 'price: \'rate = "x" ? rate : "99"\'')
    result = run("test", "--root", pinned)
    assert result.exit_code == 1
    assert "1 price changed (UpdatePrice.price)" in result.output
    assert '{"amount": "10.50", "currency": "INR"} → {"amount": "99.00", "currency": "INR"}' in result.output


def test_update_asks_and_leaves_the_snapshot_when_refused(pinned: Path) -> None:
    before = snapshots(pinned)[0].read_text()
    changed(pinned, "event_id: [id]", "event_id: [id, shop]")
    result = run("test", "--update", "--root", pinned, input="n\n")
    assert result.exit_code == 1
    assert "1 idempotency key changed" in result.output
    assert snapshots(pinned)[0].read_text() == before


def test_update_pins_when_agreed(pinned: Path) -> None:
    changed(pinned, "event_id: [id]", "event_id: [id, shop]")
    assert run("test", "--update", "--root", pinned, input="y\n").exit_code == 0
    assert run("test", "--root", pinned).exit_code == 0


def test_an_unused_snapshot_fails_and_update_removes_it(pinned: Path) -> None:
    surplus = snapshots(pinned)[0].with_name("test_case[corner-prices-gone].json")
    surplus.write_text("[]\n")
    result = run("test", "--root", pinned)
    assert result.exit_code == 1
    assert "unused snapshot: test_case[corner-prices-gone].json" in result.output
    assert run("test", "--update", "--yes", "--root", pinned).exit_code == 0
    assert not surplus.exists()


def test_a_folder_that_names_no_feed_fails(pinned: Path) -> None:
    stray = pinned / "tests" / "golden" / "corner" / "price" / "misspelt"
    stray.mkdir(parents=True)
    (stray / "request.yaml").write_text("why: Misspelt.\n")
    result = run("test", "--root", pinned)
    assert result.exit_code == 1
    assert "no case of a feed or handshake" in result.output


def test_nothing_changed_is_said_and_asks_nothing(pinned: Path) -> None:
    result = run("test", "--update", "--root", pinned)
    assert (result.exit_code, result.output) == (0, "Nothing changed.\n")


def test_a_provider_without_a_file_is_named(root: Path) -> None:
    result = run("test", "cornr", "--update", "--root", root)
    assert result.exit_code == 1
    assert "no file of cornr" in result.output
