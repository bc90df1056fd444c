"""Whether the database has the newest tables, told without Alembic, which takes more memory than the whole store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import column, select, table
from sqlalchemy.exc import DBAPIError

from stores.database import Database

_VERSIONS = Path(__file__).parent / "migrations" / "versions"
_ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 600.0


class SchemaNotMigrated(Exception):
    """The migrations did not run to their end; says why."""


def newest_version() -> str:
    """The version that this Tiffin needs: that of the last migration's file (NNNN_what_it_does.py)."""
    return max(path.name[:4] for path in _VERSIONS.glob("[0-9]*.py"))


def current_version(database: Database) -> str | None:
    """The version of the database, None for an empty one."""
    # Not by reflection, whose code and caches take megabytes.
    try:
        with database.engine.connect() as connection:
            found: str | None = connection.scalar(select(column("version_num")).select_from(table("alembic_version")))
            return found
    except DBAPIError as error:
        if database.embedded and "no such table" in str(error.orig):
            return None
        if type(error.orig).__name__ == "UndefinedTable":
            return None
        raise


def bring_up_to_date(database: Database) -> None:
    """Migrates in a process of its own where anything is to be done. Raises SchemaNotMigrated."""
    if current_version(database) == newest_version():
        return
    done = subprocess.run(
        [sys.executable, "-m", "stores.schema"],
        input=database.url.render_as_string(hide_password=False),
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise SchemaNotMigrated((done.stderr.strip().splitlines() or ["the migrations failed"])[-1])
