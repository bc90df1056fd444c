"""Opens the database: SQLite in the data folder, or PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url

_BUSY_MILLISECONDS = 20_000


@dataclass(frozen=True)
class Database:
    """An engine whose connections have Tiffin's durability. `embedded` is true for SQLite."""

    engine: Engine
    url: URL

    @property
    def embedded(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def close(self) -> None:
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Opens `sqlite:///path` or `postgresql://…` (served by psycopg 3). Creates no tables: see `migrate`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, pool_size=8, max_overflow=8)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_size=8, max_overflow=8, pool_pre_ping=True)
    return Database(engine, parsed)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transactions begin too late: ours are begun by the event below.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "temp_store=MEMORY",
        "cache_size=-16000",
        # Fewer, larger checkpoints: pages that every batch touches are copied once.
        "wal_autocheckpoint=4000",
        "secure_delete=OFF",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A transaction that begins as a reader cannot always become a writer; writers say so at once.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
