"""Rows of one table that a batch on PostgreSQL reads, decides by and writes, while no other process may.

Several processes write at once. A row is therefore locked before it is read, and one that is not there is
inserted as it will likely stand, which has whoever else wants its key wait. When the batch has decided, what
stands otherwise is corrected. Locks are taken in the order of the keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from stores import arrays

Key = tuple[Any, ...]
Row = tuple[Any, ...]
_ROUNDS = 6


class Contended(Exception):
    """Others kept taking and leaving the same rows: the batch is to be tried again."""


@dataclass(frozen=True, slots=True)
class RowStatements:
    """What is sent about one table; `width` columns at its front are the key."""

    insert: str
    lock: str
    update: str
    delete: str
    width: int


def row_statements(table: Table) -> RowStatements:
    """For a table whose primary key stands first among its columns."""
    key = [column.name for column in table.primary_key]
    assert [column.name for column in table.c][: len(key)] == key
    return RowStatements(
        insert=arrays.insert_many(table, key=key, unless=f"({', '.join(key)})"),
        lock=arrays.lock_many(table, key),
        update=arrays.update_many(table, key),
        delete=arrays.delete_many(table, key),
        width=len(key),
    )


class LockedRows:
    """`get` and `put` are by key and whole row, in memory; `flush` writes. `mostly_new` saves a round trip."""

    def __init__(self, cursor: Any, sql: RowStatements, *, mostly_new: bool) -> None:
        self._cursor, self._sql, self._mostly_new = cursor, sql, mostly_new
        self._rows: dict[Key, Row | None] = {}
        self._stored: dict[Key, Row] = {}

    def lock(self, likely: Mapping[Key, Row]) -> None:
        """Locks the keys of rows that will likely stand in the end. Raises Contended."""
        left = sorted(key for key in likely if key not in self._rows)
        inserting = self._mostly_new
        for _ in range(_ROUNDS):
            if not left:
                return
            if inserting:
                self._insert({key: likely[key] for key in left})
            else:
                self._read(left)
            left = [key for key in left if key not in self._rows]
            inserting = not inserting
        raise Contended

    def get(self, key: Key) -> Row | None:
        """The row as it stood before this batch, or as the batch has put it."""
        if key not in self._rows:
            self._read([key])
        return self._rows.get(key)

    def put(self, row: Row) -> None:
        self._rows[row[: self._sql.width]] = row

    def flush(self) -> None:
        """Brings what is stored to what stands."""
        changed: list[Row] = []
        unwanted: list[Key] = []
        fresh: list[Row] = []
        for key, row in self._rows.items():
            stored = self._stored.get(key)
            if row == stored:
                continue
            if row is None:
                unwanted.append(key)
                del self._stored[key]
                continue
            (fresh if stored is None else changed).append(row)
            self._stored[key] = row
        if changed:
            self._cursor.execute(self._sql.update, arrays.columns(changed))
        if unwanted:
            self._cursor.execute(self._sql.delete, arrays.columns(unwanted))
        if fresh:
            self._cursor.execute(self._sql.insert, arrays.columns(fresh))
            if len(self._cursor.fetchall()) < len(fresh):
                raise Contended

    def _insert(self, likely: Mapping[Key, Row]) -> None:
        self._cursor.execute(self._sql.insert, arrays.columns(likely.values()))
        for key in self._cursor.fetchall():
            self._rows[key], self._stored[key] = None, likely[key]

    def _read(self, keys: Sequence[Key]) -> None:
        self._cursor.execute(self._sql.lock, arrays.columns(keys))
        for row in self._cursor.fetchall():
            key = row[: self._sql.width]
            self._rows[key] = self._stored[key] = row
