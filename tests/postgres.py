"""PostgreSQL databases for tests: made from nothing, emptied between tests, dropped at the end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.engine import make_url

from stores.database import open_database
from stores.schema import migrate
from stores.tables import metadata

KEY = "dGhlLWtleS1vZi10aGUtdGVzdHMtMzItYnl0ZXMtLS0="
"""TIFFIN_SECRET_KEY of the tests that run on PostgreSQL."""


@contextmanager
def database(server: str, *, migrated: bool = True) -> Iterator[str]:
    """The URL of a new database, which is dropped afterwards."""
    name = f"tiffin_test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    try:
        if migrated:
            opened = open_database(url)
            migrate(opened)
            opened.close()
        yield url
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def empty(url: str) -> None:
    """Ends whatever an earlier test has left connected and empties every table."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        # Faster than TRUNCATE, which makes new files, as long as there is little in them.
        for table in metadata.sorted_tables:
            connection.execute(f"DELETE FROM {table.name}")
