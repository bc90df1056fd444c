"""tiffin secret-key."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import tiffin
from flows.folder import FolderLock
from flows.journal import secret_box
from flows.settings import Settings
from stores import connections
from stores.secrets import new_key
from tests.cli.test_audit import run
from tests.flows.scenery import SECRET, database, settings_in


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return settings_in(tmp_path)


def opens(settings: Settings) -> bool:
    from datetime import UTC, datetime

    with database(settings) as transaction:
        found = connections.get(transaction, "one", secret_box(settings), datetime.now(UTC))
    return found.secrets == {"key": (SECRET.encode(),)}


def test_the_embedded_key_file_is_replaced_and_the_old_one_forgotten(settings: Settings) -> None:
    file = settings.data / "secret.key"
    before = file.read_text()
    assert run(settings, "secret-key", "rotate").exit_code == 0
    assert file.read_text() != before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (settings.data / "secret.key.old").exists()
    assert opens(settings)


def test_a_rotation_that_ended_half_way_keeps_both_keys_and_makes_no_third(settings: Settings) -> None:
    from stores.secrets import replace_key

    replace_key(settings.data / "secret.key")
    halfway = (settings.data / "secret.key").read_text()
    assert opens(settings)
    assert run(settings, "secret-key", "rotate").exit_code == 0
    assert (settings.data / "secret.key").read_text() == halfway
    assert opens(settings)


def test_the_key_file_is_not_replaced_under_a_server_that_runs(settings: Settings) -> None:
    before = (settings.data / "secret.key").read_text()
    lock = FolderLock(settings.data)
    try:
        refused = run(settings, "secret-key", "rotate")
    finally:
        lock.release()
    assert (refused.exit_code, "Stop it" in refused.output) == (1, True)
    assert (settings.data / "secret.key").read_text() == before


def test_a_key_of_the_setting_is_rotated_with_the_old_one_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (settings.data / "secret.key").read_text().strip(), new_key()
    monkeypatch.setenv("TIFFIN_SECRET_KEY", new)
    assert run(settings, "secret-key", "rotate").exit_code == 1
    monkeypatch.setenv("TIFFIN_SECRET_KEY_OLD", old)
    previewed: Result = run(settings, "secret-key", "rotate", "--dry-run", "--json")
    assert json.loads(previewed.stdout)["values"]["secrets of connections"] == 2
    done = json.loads(run(settings, "secret-key", "rotate", "--json").stdout)
    assert (done["values"]["secrets of connections"], done["older_key_needed"]) == (2, False)
    monkeypatch.delenv("TIFFIN_SECRET_KEY_OLD")
    assert opens(Settings(_env_file=None, data=settings.data))
    assert json.loads(run(settings, "audit", "list", "--json").stdout)[0]["what"] == "secret_key.rotate"


def test_a_new_key_fits_the_setting() -> None:
    made = CliRunner().invoke(tiffin, ["secret-key", "new"]).stdout.strip()
    secret_box(Settings(_env_file=None, secret_key=made)).seal(b"x")
