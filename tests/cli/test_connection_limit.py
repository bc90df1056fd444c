"""tiffin connection limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from cli.main import tiffin
from flows.settings import Settings
from stores.tables import audit, connections
from tests.flows.scenery import database, settings_in


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return settings_in(tmp_path)


def run(settings: Settings, *arguments: str) -> int:
    return CliRunner().invoke(tiffin, ["connection", "limit", *arguments, "--data", str(settings.data)]).exit_code


def own_settings(settings: Settings) -> Any:
    with database(settings) as transaction:
        return transaction.scalar(select(connections.c.settings).where(connections.c.id == "one"))


def test_a_limit_is_set_and_taken_back_and_audited(settings: Settings) -> None:
    assert run(settings, "one", "2.5") == 0
    assert own_settings(settings) == {"requests_per_second": 2.5}
    assert run(settings, "one", "--default") == 0
    assert own_settings(settings) == {}
    with database(settings) as transaction:
        assert transaction.execute(select(audit.c.what, audit.c.target)).all() == [("connection.limit", "one")] * 2


@pytest.mark.parametrize(
    ("arguments", "status"), [(["nowhere", "2"], 1), (["one"], 2), (["one", "2", "--default"], 2), (["one", "fast"], 2)]
)
def test_what_is_no_limit_of_a_connection_is_refused(settings: Settings, arguments: list[str], status: int) -> None:
    assert run(settings, *arguments) == status
