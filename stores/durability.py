"""Settings of a database under which what was committed may be lost, or nothing can be written."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from stores.database import Database

OLDEST_POSTGRES = 13


class Weakness(NamedTuple):
    """What is wrong, and what to do."""

    problem: str
    next_step: str


def weaknesses(database: Database) -> list[Weakness]:
    """Raises what the driver raises where the database is away."""
    with database.engine.connect() as connection:
        return _of_sqlite(connection) if database.embedded else _of_postgres(connection, database)


def _of_sqlite(connection: Connection) -> list[Weakness]:
    def pragma(name: str) -> str:
        return str(connection.exec_driver_sql(f"PRAGMA {name}").scalar()).lower()

    found = []
    if pragma("synchronous") not in ("2", "3"):
        found.append(Weakness("synchronous is not FULL: a power cut may lose commits", "Report it: Tiffin sets it."))
    if pragma("journal_mode") != "wal":
        found.append(
            Weakness("the journal is not WAL: readers and the writer wait for each other", "Use a local file system.")
        )
    return found


def _of_postgres(connection: Connection, database: Database) -> list[Weakness]:
    def shown(name: str) -> str:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar())

    found = []
    version = int(shown("server_version_num")) // 10_000
    if version < OLDEST_POSTGRES:
        found.append(Weakness(f"PostgreSQL {version} is too old", f"Use {OLDEST_POSTGRES} or newer."))
    if shown("server_encoding") != "UTF8":
        found.append(Weakness(f"its encoding is {shown('server_encoding')}", "Make the database with ENCODING 'UTF8'."))
    if shown("transaction_read_only") == "on":
        found.append(Weakness("it is read-only, a replica perhaps", "Name the primary in TIFFIN_DATABASE_URL."))
    for name, wrong in (("synchronous_commit", ("off",)), ("fsync", ("off",)), ("full_page_writes", ("off",))):
        if shown(name) in wrong:
            found.append(
                Weakness(f"{name} is off: a crash may lose what was acknowledged", f"Set {name} = on; look at the "
                         "server's configuration, and at ALTER ROLE and ALTER DATABASE settings.")
            )  # fmt: skip
    found += _room(connection, database, int(shown("max_connections")))
    return found


def _room(connection: Connection, database: Database, most: int) -> list[Weakness]:
    limit = connection.exec_driver_sql("SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user").scalar()
    least = min(most, most if limit is None or limit < 0 else limit)
    wanted = database.engine.pool.size() + SERVING_CONNECTIONS  # type: ignore[attr-defined]
    if least < wanted:
        return [
            Weakness(
                f"it takes {least} connections, one worker uses up to {wanted}",
                "Raise max_connections, or lower TIFFIN_DATABASE_POOL.",
            )
        ]
    return []


SERVING_CONNECTIONS = 10
"""What a worker process may use beside its pool: three for hot reads, seven of its writer."""
