"""tiffin topics, tiffin delivery release."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, select

from cli.main import tiffin
from flows.settings import Settings
from stores.outbox import pack
from stores.tables import audit, outbox
from tests.flows.scenery import database, settings_in


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return settings_in(tmp_path)


def run(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(tiffin, [*arguments, "--data", str(settings.data)])


def park(settings: Settings, delivery: str, shard: int = 3) -> None:
    row: dict[str, Any] = {
        "delivery": delivery, "attempt": 1, "shard": -1 - shard, "kafka_key": "k", "count": 1, "ids": ["c-1"],
        "data": pack([b"{}"]), "created_at": datetime.now(UTC),
    }  # fmt: skip
    with database(settings, writing=True) as transaction:
        transaction.execute(insert(outbox).values(row))


def shards_of(settings: Settings) -> dict[str, int]:
    with database(settings) as transaction:
        return {row[0]: row[1] for row in transaction.execute(select(outbox.c.delivery, outbox.c.shard))}


def test_the_embedded_log_needs_no_topics(settings: Settings) -> None:
    assert "makes its topics itself" in run(settings, "topics").output


@pytest.mark.parametrize("retention", ["7", "-1", "0d", "seven days"])
def test_a_retention_that_is_no_duration_is_wrong_usage(settings: Settings, retention: str) -> None:
    assert run(settings, "topics", "--retention", retention).exit_code == 2


def test_without_ids_the_parked_deliveries_are_listed(settings: Settings) -> None:
    park(settings, "d1")
    assert json.loads(run(settings, "delivery", "release", "--json").output) == [
        {"delivery": "d1", "rows": 1, "commands": 1}
    ]


def test_a_released_row_is_the_relays_again_and_audited(settings: Settings) -> None:
    park(settings, "d1", shard=3)
    park(settings, "d2", shard=4)
    assert run(settings, "delivery", "release", "d1", "--why", "mended").exit_code == 0
    assert shards_of(settings) == {"d1": 3, "d2": -5}
    with database(settings) as transaction:
        assert transaction.execute(select(audit.c.what, audit.c.target, audit.c.why)).all() == [
            ("delivery.release", "d1", "mended")
        ]


def test_all_parked_rows_can_be_released(settings: Settings) -> None:
    park(settings, "d1", shard=3)
    park(settings, "d2", shard=4)
    run(settings, "delivery", "release", "--all")
    assert shards_of(settings) == {"d1": 3, "d2": 4}


def test_a_delivery_without_parked_commands_is_a_problem(settings: Settings) -> None:
    found = run(settings, "delivery", "release", "d9")
    assert (found.exit_code, "no parked commands: d9" in found.output) == (1, True)
