"""Migrations on both databases: from nothing, one at a time, and to exactly the tables that the code has."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select

from stores import schema, tables
from stores.database import Database, open_database
from stores.schema import SchemaNewer, migrate, version
from stores.schema_version import SchemaNotMigrated, require_up_to_date
from tests import postgres

REVISIONS = [
    script.revision for script in reversed(list(ScriptDirectory.from_config(schema._config()).walk_revisions()))
]


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    if request.param == "sqlite":
        database = open_database(f"sqlite:///{tmp_path}/empty.db")
        yield database
        database.close()
        return
    with postgres.database(request.getfixturevalue("postgres_url"), migrated=False) as url:
        database = open_database(url)
        yield database
        database.close()


def upgrade(database: Database, revision: str) -> None:
    with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
        command.upgrade(schema._config(connection), revision)


def test_an_empty_database_gets_the_tables_that_the_code_has(empty: Database) -> None:
    assert migrate(empty) == (None, schema.latest_version())
    with empty.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_partial_indexes_are_made_as_the_code_has_them(empty: Database) -> None:
    migrate(empty)
    with empty.engine.connect() as connection:
        dialect = empty.engine.dialect.name
        for table in tables.metadata.sorted_tables:
            made = {index["name"]: index for index in inspect(connection).get_indexes(table.name)}
            for index in table.indexes:
                wanted = index.dialect_options["sqlite"]["where"] is not None
                assert (f"{dialect}_where" in made[index.name]["dialect_options"]) == wanted, index.name


@pytest.mark.parametrize(("before", "after"), list(zip([None, *REVISIONS], REVISIONS, strict=False)))
def test_each_migration_goes_up_from_the_one_before(empty: Database, before: str | None, after: str) -> None:
    if before is not None:
        upgrade(empty, before)
    upgrade(empty, after)
    assert version(empty) == after


def test_what_was_stored_before_a_migration_stands_after_it(empty: Database) -> None:
    upgrade(empty, REVISIONS[0])
    with empty.engine.connect().execution_options(writing=True) as connection, connection.begin():
        connection.execute(insert(tables.counters).values(name="busy", value=7))
    migrate(empty)
    with empty.engine.connect() as connection:
        assert connection.scalar(select(tables.counters.c.value)) == 7


def test_a_database_that_is_up_to_date_is_left_alone(empty: Database) -> None:
    migrate(empty)
    newest = schema.latest_version()
    assert migrate(empty) == (newest, newest)


def test_a_newer_database_is_refused(empty: Database) -> None:
    migrate(empty)
    with empty.engine.connect().execution_options(writing=True) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaNewer, match="9999"):
        migrate(empty)
    with pytest.raises(SchemaNotMigrated, match=r"9999.*install a newer one"):
        require_up_to_date(empty)


def test_a_database_without_tables_is_not_served_from(empty: Database) -> None:
    with pytest.raises(SchemaNotMigrated, match="tiffin migrate"):
        require_up_to_date(empty)


def test_two_that_migrate_at_once_both_end_well(postgres_url: str) -> None:
    with postgres.database(postgres_url, migrated=False) as url:
        databases = [open_database(url) for _ in range(4)]
        with ThreadPoolExecutor() as pool:
            assert [after for _, after in pool.map(migrate, databases)] == [schema.latest_version()] * 4
        for database in databases:
            database.close()
