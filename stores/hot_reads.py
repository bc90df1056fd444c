"""The reads of a webhook on SQLite, through the driver on a connection of the event loop's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.messages import IdempotencyKey, Ref
from stores import mappings
from stores.claims import TAKEN, Standing
from stores.database import Database
from stores.statements import statements


class HotReads:
    """For one event loop. No method waits: each read takes microseconds."""

    def __init__(self, database: Database) -> None:
        self._pooled = database.engine.raw_connection()
        self._cursor: Any = self._pooled.cursor()
        self._sql = statements(database.engine.dialect)

    async def standing(self, tenant: str, provider: str, key: IdempotencyKey, at: int) -> Standing | None:
        if key.strategy == "payload_hash_last":
            row = self._one(self._sql.last_of, (tenant, provider, key.scope_key))
            return Standing(row[0], row[1] == "done") if row and row[3] == key.text else None
        row = self._one(self._sql.key_of, (tenant, provider, key.text))
        if row is None or (row[3] is not None and row[3] <= at):
            return None
        return Standing(row[0], row[1] in TAKEN)

    async def mapping_generation(self) -> int:
        row = self._one(self._sql.count_of, (mappings.CHANGES,))
        return row[0] if row else 0

    async def resolve(self, tenant: str, provider: str, refs: Iterable[Ref]) -> dict[Ref, str]:
        found: dict[Ref, str] = {}
        for ref in refs:
            kind, within, external = ref
            row = self._one(self._sql.mapping_of, (tenant, provider, kind, within, external))
            if row is None and within:
                row = self._one(self._sql.mapping_of, (tenant, provider, kind, "", external))
            if row is not None:
                found[ref] = row[0]
        return found

    def _one(self, sql: str, parameters: tuple[Any, ...]) -> Any:
        return self._cursor.execute(sql, parameters).fetchone()

    async def close(self) -> None:
        self._cursor.close()
        self._pooled.close()
