"""Idempotency keys: who holds them, and what a later delivery with the same key may still do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
from sqlalchemy import Connection, select

from engine.messages import IdempotencyKey
from stores.import_chunks import chunk_id
from stores.outbox import ids_text
from stores.records import Conclusion, Group
from stores.tables import keys, last_accepted, micros

KEY_STATE = {"partial": "partial", "failed": "failed", "parked": "parked"}
RUNNING, OPEN = "running", "open"
"""States of a key that an import job has, and has left with a part of the work done: see stores.import_keys."""
TAKEN = frozenset({"done", RUNNING})
"""States of a key whose work is another's: it is done, or being done."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A key that stands. `delivery` claimed it first; `done` says that its work is done, or a job's that runs."""

    delivery: str
    done: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What a conclusion may do. `holder` set: the work was done by that delivery. `written`: leave these out.

    `again` says that the command keys were made for another claimant and must be made anew.
    """

    holder: str = ""
    written: frozenset[str] = frozenset()
    stands: bool = False
    again: bool = False


class Cursor(Protocol):
    def execute(self, sql: str, parameters: Any = ...) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


def standing(connection: Connection, tenant: str, provider: str, key: IdempotencyKey, at: datetime) -> Standing | None:
    """Who holds a key at a time; None when it is free."""
    if key.strategy == "payload_hash_last":
        t = last_accepted.c
        row = connection.execute(
            select(t.delivery, t.state).where(
                t.tenant == tenant, t.provider == provider, t.scope_key == key.scope_key, t.key_text == key.text
            )
        ).first()
        return Standing(row[0], row[1] == "done") if row else None
    k = keys.c
    found = connection.execute(
        select(k.delivery, k.state, k.until).where(k.tenant == tenant, k.provider == provider, k.key_text == key.text)
    ).first()
    if found is None or (found[2] is not None and found[2] <= at):
        return None
    return Standing(found[0], found[1] in TAKEN)


class Claims:
    """Claims keys through the driver, inside the group writer's transaction. `sql` is compiled from the tables."""

    def __init__(self, cursor: Cursor, sql: Any) -> None:
        self._cursor, self._sql = cursor, sql

    def claim(self, conclusion: Conclusion) -> Claim:
        """What the conclusion may do, given who holds its key."""
        key = conclusion.key
        if key is None or key.strategy == "delivery":
            return Claim(written=self._own(conclusion) if conclusion.replay else frozenset())
        row = self._row(conclusion, key)
        if row is None:
            return Claim()
        delivery, state, written = row
        if state in TAKEN and delivery != conclusion.delivery:
            return Claim(holder=delivery)
        if (
            key.strategy != "event_id"
            and conclusion.groups
            and delivery != (conclusion.claimant or conclusion.delivery)
        ):
            return Claim(again=True)
        ids = frozenset(orjson.loads(written)) if written else frozenset()
        if delivery == conclusion.delivery:
            ids |= self._own(conclusion)
        if key.strategy == "event_id":
            ids |= self._of_jobs(conclusion, key)
        return Claim(written=ids, stands=True)

    def _row(self, conclusion: Conclusion, key: IdempotencyKey) -> tuple[str, str, str | None] | None:
        owner = (conclusion.tenant, conclusion.provider)
        if key.strategy == "payload_hash_last":
            self._cursor.execute(self._sql.last_of, (*owner, key.scope_key))
            row = self._cursor.fetchone()
            return None if row is None or row[3] != key.text else (row[0], row[1], row[2])
        self._cursor.execute(self._sql.key_of, (*owner, key.text))
        row = self._cursor.fetchone()
        if row is None or (row[3] is not None and row[3] <= micros(conclusion.received_at)):
            return None
        return row[0], row[1], row[2]

    def _own(self, conclusion: Conclusion) -> frozenset[str]:
        self._cursor.execute(self._sql.ids_of, (conclusion.delivery,))
        return frozenset(i for (ids,) in self._cursor.fetchall() for i in orjson.loads(ids))

    def _of_jobs(self, conclusion: Conclusion, key: IdempotencyKey) -> frozenset[str]:
        """Which of the commands stand in the chunks of jobs with the key. What those wrote may be millions."""
        mine = frozenset(orjson.loads(ids_text(conclusion.groups)))
        found: set[str] = set()
        self._cursor.execute(self._sql.jobs_of, (conclusion.tenant, conclusion.provider, key.text))
        for job, chunks in self._cursor.fetchall() if mine else ():
            for number in range(chunks):
                self._cursor.execute(self._sql.ids_of, (chunk_id(job, number),))
                found.update(mine.intersection(i for (ids,) in self._cursor.fetchall() for i in orjson.loads(ids)))
        return frozenset(found)

    def keep(self, conclusion: Conclusion, claim: Claim, groups: Sequence[Group]) -> None:
        """Burns the key, together with the work that it stands for."""
        key = conclusion.key
        if key is None or key.strategy == "delivery":
            return
        state = KEY_STATE.get(conclusion.state, "done")
        kept: str | None = None
        if claim.written or state != "done":
            kept = orjson.dumps(sorted(claim.written.union(orjson.loads(ids_text(groups))))).decode()
        owner = (conclusion.tenant, conclusion.provider)
        if key.strategy == "payload_hash_last":
            if state in ("failed", "parked"):
                return
            first = conclusion.claimant or conclusion.delivery
            self._cursor.execute(self._sql.put_last, (*owner, key.scope_key, key.text, first, state, kept))
        elif claim.stands:
            self._cursor.execute(self._sql.update_key, (state, kept, *owner, key.text))
        else:
            at = conclusion.received_at
            until = micros(at + timedelta(seconds=key.window)) if key.window is not None else None
            self._cursor.execute(
                self._sql.put_key, (*owner, key.text, conclusion.delivery, state, micros(at), until, kept)
            )
