from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stores import schema, schema_version
from stores.database import Database, open_database
from stores.schema_version import SchemaNotMigrated, bring_up_to_date, current_version, newest_version


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(f"sqlite:///{tmp_path / 'with % and space.db'}")


def test_the_newest_version_is_the_head_of_the_migrations() -> None:
    assert newest_version() == schema.latest_version()


def test_an_empty_database_has_no_version(database: Database) -> None:
    assert current_version(database) is None


def test_an_empty_database_is_brought_up_to_date(database: Database) -> None:
    bring_up_to_date(database)
    assert current_version(database) == newest_version()


def test_a_database_that_is_up_to_date_is_left_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_up_to_date(database)
    monkeypatch.setattr(schema_version.subprocess, "run", None)
    bring_up_to_date(database)


def test_a_database_of_a_newer_version_is_refused_with_both_versions(database: Database) -> None:
    bring_up_to_date(database)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaNotMigrated, match=f"version 9999, this Tiffin knows up to {newest_version()}"):
        bring_up_to_date(database)


def test_the_writer_loads_neither_cryptography_nor_pydantic_nor_alembic() -> None:
    script = (
        "import sys, pickle, flows.writer_process, stores.deliveries, stores.specs, stores.counters\n"
        "print([name for name in ('cryptography', 'pydantic', 'alembic', 'rich', 'jlens') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
