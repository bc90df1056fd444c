"""The database's schema: brought up to date by Alembic's migrations, and told apart from newer ones."""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from stores.database import Database, open_database

_FOLDER = Path(__file__).parent / "migrations"


class SchemaNewer(Exception):
    """The database was migrated by a newer Tiffin than this one."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # Alembic reads options as ConfigParser does, where % begins a reference.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def latest_version() -> str:
    """The version that this Tiffin needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def version(database: Database) -> str | None:
    """The version of the database, None for an empty one."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(database: Database) -> tuple[str | None, str]:
    """Brings the database up to date; returns the versions before and after. Raises SchemaNewer."""
    before, needed = version(database), latest_version()
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if before is not None and before not in known:
        raise SchemaNewer(f"The database has version {before}, this Tiffin knows up to {needed}: install a newer one.")
    if before != needed:
        with database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            command.upgrade(_config(connection), "head")
    return before, needed


def main() -> None:
    """Migrates the database whose URL stands on standard input: a command line would show its password."""
    database = open_database(sys.stdin.read().strip())
    try:
        migrate(database)
    except SchemaNewer as error:
        sys.exit(str(error))
    finally:
        database.close()


if __name__ == "__main__":
    main()
