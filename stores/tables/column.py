"""What the tables are made of, the same on SQLite and on PostgreSQL; times are microseconds since 1970 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Dialect,
    Index,
    Integer,
    MetaData,
    TypeDecorator,
    event,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The aware time in UTC of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


class Moment(TypeDecorator[datetime]):
    """An aware time, kept as microseconds since 1970: sortable, exact and the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | int | None, dialect: Dialect) -> int | None:
        return micros(value) if isinstance(value, datetime) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else moment(int(value))

    def process_literal_param(self, value: datetime | None, dialect: Dialect) -> str:
        return "NULL" if value is None else str(micros(value))


# SQLite numbers rows by itself only in an INTEGER column.
Serial = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over the rows for which `where` holds, on either database.

    PostgreSQL is told when tables are made there: to name its option here would load its dialect into every process.
    """
    index = Index(name, *columns, unique=unique, sqlite_where=text(where))

    def tell(_table: Any, connection: Connection, **_: Any) -> None:
        if connection.dialect.name == "postgresql":
            index.dialect_options["postgresql"]["where"] = text(where)

    event.listen(index, "after_parent_attach", lambda _, table: event.listen(table, "before_create", tell))
    return index
