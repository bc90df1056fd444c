"""The database as commands see it: opened with the settings, one transaction at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path

from sqlalchemy import Connection

from flows.journal import database_url, secret_box
from flows.settings import Settings
from stores.database import Database, open_database
from stores.schema import migrate
from stores.secrets import SecretBox


def settings_of(data: Path | None) -> Settings:
    """The settings, with the data folder given on the command line."""
    return Settings(data=data) if data is not None else Settings()


def now() -> datetime:
    return datetime.now(UTC)


def operator() -> str:
    """Who runs the command, for the audit."""
    try:
        return f"cli:{getuser()}"
    except (OSError, KeyError):
        return "cli"


class Store:
    """An open database with its secret box."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        if settings.embedded:
            settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.database: Database = open_database(database_url(settings))
        migrate(self.database)

    @property
    def box(self) -> SecretBox:
        return secret_box(self.settings)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.database.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed at the end."""
        with self.database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            yield connection


@contextmanager
def opened(data: Path | None) -> Iterator[Store]:
    store = Store(settings_of(data))
    try:
        yield store
    finally:
        store.database.close()
