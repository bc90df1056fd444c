"""Opens the database: SQLite in the data folder, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, Table, create_engine, event
from sqlalchemy.engine import URL, make_url

_BUSY_MILLISECONDS = 20_000
_POOL_SECONDS = 10.0
_POSTGRES_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": "tiffin",
    # A server that is gone without a word is noticed within a quarter of a minute.
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    # Compiling costs more than any of our statements takes.
    "options": "-c jit=off",
}


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


def open_database(url: str, *, pool: int = 8) -> Database:
    """Opens `sqlite:///path` or `postgresql://…` (served by psycopg 3). Creates no tables: see `migrate`.

    `pool` is the most connections to PostgreSQL; whoever wants one more waits.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, pool_size=8, max_overflow=8)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(
            parsed,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=_POOL_SECONDS,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args=postgres_options(parsed),
        )
    return Database(engine, parsed)


def postgres_options(url: URL) -> dict[str, Any]:
    """How psycopg connects, where the URL does not say it."""
    return {name: value for name, value in _POSTGRES_OPTIONS.items() if name not in url.query}


def insert_of(dialect: Dialect) -> Any:
    """The dialect's own `insert`, which knows ON CONFLICT; the other dialect is not loaded."""
    if dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite


def upsert(connection: Connection) -> Any:
    """The database's own INSERT, which can say what is to happen on a conflict."""
    return insert_of(connection.dialect)


def put_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows; those whose primary key stands are replaced."""
    if not rows:
        return
    statement = upsert(connection)(table)
    keys = {column.name for column in table.primary_key}
    changed = {c.name: statement.excluded[c.name] for c in table.c if c.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=sorted(keys), set_=changed), rows)


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
