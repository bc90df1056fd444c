"""The database as commands see it: opened with the settings, one transaction at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from flows.journal import database_url, secret_box
from flows.settings import Settings
from stores.database import Database, open_database
from stores.schema_version import bring_up_to_date
from stores.secrets import SecretBox

T = TypeVar("T")


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
        bring_up_to_date(self.database)

    @property
    def box(self) -> SecretBox:
        return secret_box(self.settings)

    def read(self, job: Callable[[Connection], T], /) -> T:
        """Runs a job that reads, on a connection of its own."""
        with self.reading() as connection:
            return job(connection)

    def write(self, job: Callable[[Connection], T], /) -> T:
        """Runs a job in a transaction of its own; what it removes leaves no copy in the file's free pages."""
        with self.database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            if self.database.embedded:
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            return job(connection)

    def forget_erased(self) -> None:
        """Brings what was removed out of SQLite's write-ahead log too, as far as no reader holds it."""
        if self.database.embedded:
            raw = self.database.engine.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                raw.close()

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
