"""SQL for PostgreSQL that takes many rows in one round trip: a column's values are one array (`unnest`).

Compiled from the tables; parameters are columns of values, in the order of the names, sent in binary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Integer, LargeBinary, Table, Text

from stores.tables import Moment

_ARRAYS: tuple[tuple[type, str], ...] = (
    (Moment, "bigint"),
    (BigInteger, "bigint"),
    (Integer, "integer"),
    (Boolean, "boolean"),
    (LargeBinary, "bytea"),
    (JSON, "text"),
    (Text, "text"),
)


def columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Rows as columns of values: the parameters of the statements below."""
    return [list(column) for column in zip(*rows, strict=True)]


def insert_many(table: Table, *, without: Sequence[str] = (), key: Sequence[str] = (), unless: str = "") -> str:
    """Inserts rows. `unless` is what a conflict is about: its rows are left out, the others' keys returned."""
    names = [c.name for c in table.c if c.name not in without]
    sql = f"INSERT INTO {table.name} ({_listed(names)}) SELECT {_selected(table, names)} FROM {_rows(table, names)}"  # noqa: S608
    if not key:
        return sql
    # Rows are locked in this order by every process, so that none waits for another in a circle.
    return f"{sql} ORDER BY {_listed(key, 'u.')} ON CONFLICT {unless} DO NOTHING RETURNING {_listed(key)}"


def lock_many(table: Table, key: Sequence[str]) -> str:
    """Reads and locks the rows of many keys; returns every column."""
    found = " AND ".join(f't."{name}" = u."{name}"' for name in key)
    return (
        f"SELECT f.* FROM {_rows(table, key)} CROSS JOIN LATERAL "  # noqa: S608
        f"(SELECT {_listed([c.name for c in table.c], 't.')} FROM {table.name} AS t WHERE {found} FOR UPDATE) AS f"
    )


def read_many(table: Table, key: Sequence[str], wanted: Sequence[str], where: str = "true") -> str:
    """Reads the `wanted` columns of the rows of many keys."""
    found = " AND ".join(f't."{name}" = u."{name}"' for name in key)
    return (
        f"SELECT f.* FROM {_rows(table, key)} CROSS JOIN LATERAL "  # noqa: S608
        f"(SELECT {_listed(wanted, 't.')} FROM {table.name} AS t WHERE {found} AND {where}) AS f"
    )


def update_many(table: Table, key: Sequence[str]) -> str:
    """Sets every column of the rows of many keys. Parameters: every column in the table's order."""
    names = [c.name for c in table.c]
    changed = ", ".join(f'"{name}" = u."{name}"' for name in names if name not in key)
    found = " AND ".join(f't."{name}" = u."{name}"' for name in key)
    return f"UPDATE {table.name} AS t SET {changed} FROM {_rows(table, names)} WHERE {found}"  # noqa: S608


def delete_many(table: Table, key: Sequence[str], returning: Sequence[str] = ()) -> str:
    found = " AND ".join(f't."{name}" = u."{name}"' for name in key)
    told = f" RETURNING {_listed(returning, 't.')}" if returning else ""
    return f"DELETE FROM {table.name} AS t USING {_rows(table, key)} WHERE {found}{told}"  # noqa: S608


def _rows(table: Table, names: Sequence[str]) -> str:
    arrays = ", ".join(f"%b::{_array(table, name)}[]" for name in names)
    return f"unnest({arrays}) AS u({_listed(names)})"


def _array(table: Table, name: str) -> str:
    kind = table.c[name].type
    return next(array for type, array in _ARRAYS if isinstance(kind, type))


def _selected(table: Table, names: Sequence[str]) -> str:
    return ", ".join(f'u."{name}"' + ("::json" if isinstance(table.c[name].type, JSON) else "") for name in names)


def _listed(names: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in names)
