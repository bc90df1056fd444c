"""What one transaction of the group writer writes."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from stores.claims import Claims
from stores.outbox import pack
from stores.records import Committed, Conclusion, Emitted, RawDelivery, State
from stores.shards import shard_of
from stores.statements import Statements
from stores.tables import micros


class Flight(NamedTuple):
    """A raw delivery and who works on it until when (microseconds since 1970)."""

    raw: RawDelivery
    owner: str
    lease_until: int


class Batch:
    """Gathers the rows of a transaction. Keys, versions and mappings are settled in order of submission."""

    def __init__(self, connection: Connection, sql: Statements) -> None:
        self._cursor: Any = connection.connection.cursor()
        self._sql = sql
        self._claims = Claims(self._cursor, sql)
        self._rows: dict[str, list[tuple[Any, ...]]] = {}

    def receive(self, flight: Flight) -> None:
        raw = flight.raw
        self._add(
            self._sql.put_delivery,
            (raw.id, micros(raw.received_at), raw.tenant, raw.provider, raw.connection, raw.feed, raw.method, raw.url,
             raw.headers, raw.sealed, raw.body, raw.body_sealed, raw.peer, raw.spec_hash, raw.quarantined),
        )  # fmt: skip
        if not raw.quarantined:
            self._add(self._sql.put_in_flight, (raw.id, flight.owner, flight.lease_until, 1))

    def conclude(self, conclusion: Conclusion) -> Committed:
        if (standing := self._standing(conclusion)) is not None:
            return standing
        if conclusion.state == "duplicate":
            # Known before the rules ran: nothing is claimed.
            return self._outcome(conclusion, "duplicate", [], holder=conclusion.claimant)
        claim = self._claims.claim(conclusion)
        if claim.again or not self._map(conclusion):
            return Committed("in_flight", 0, remapped=True)
        if claim.holder:
            return self._outcome(conclusion, "duplicate", [], holder=claim.holder)
        fresh = [c for c in conclusion.commands if c.id not in claim.written] if claim.written else conclusion.commands
        kept, older, equal = self._in_order(conclusion, fresh)
        state: State = conclusion.state
        if state == "accepted" and fresh and not kept:
            state = "stale" if older else "duplicate"
        self._claims.keep(conclusion, claim, [command.id for command in kept])
        return self._outcome(conclusion, state, kept, stale=older + equal)

    def flush(self) -> None:
        for sql, rows in self._rows.items():
            self._cursor.executemany(sql, rows)
        self._rows = {}

    def stands(self, what: Flight | Conclusion) -> bool:
        """Whether the row of an entry is there."""
        if isinstance(what, Flight):
            self._cursor.execute(self._sql.delivery_of, (what.raw.id,))
        else:
            self._cursor.execute(self._sql.outcome_of, (what.delivery, what.attempt))
        return self._cursor.fetchone() is not None

    def _add(self, sql: str, row: tuple[Any, ...]) -> None:
        rows = self._rows.get(sql)
        if rows is None:
            self._rows[sql] = [row]
        else:
            rows.append(row)

    def _standing(self, conclusion: Conclusion) -> Committed | None:
        """Two processes may have worked on one attempt: the first outcome stands."""
        self._cursor.execute(self._sql.outcome_of, (conclusion.delivery, conclusion.attempt))
        row = self._cursor.fetchone()
        return None if row is None else Committed(row[0], row[1], holder=row[2], stale=row[3])

    def _map(self, conclusion: Conclusion) -> bool:
        """Inserts new mappings; False when an external id has meanwhile been given another canonical id."""
        owner = (conclusion.tenant, conclusion.provider)
        fresh = []
        for ref, canonical_id in conclusion.mappings:
            self._cursor.execute(self._sql.mapping_of, (*owner, ref.kind, ref.within, ref.external_id))
            row = self._cursor.fetchone()
            if row is None:
                fresh.append((*owner, *ref, canonical_id, micros(conclusion.at), "created"))
            elif row[0] != canonical_id:
                return False
        if fresh:
            self._cursor.executemany(self._sql.put_mapping, fresh)
        return True

    def _in_order(self, conclusion: Conclusion, commands: Any) -> tuple[list[Emitted], int, int]:
        """The commands that are newer than what was written, and how many were older or equal."""
        kept: list[Emitted] = []
        older = equal = 0
        owner = (conclusion.tenant, conclusion.provider)
        for command in commands:
            version = command.version
            if version is None:
                kept.append(command)
                continue
            self._cursor.execute(self._sql.version_of, (*owner, version.entity))
            row = self._cursor.fetchone()
            if row is not None and version.order < row[0]:
                older += 1
            elif row is not None and version.order == row[0] and row[1] != conclusion.delivery:
                equal += 1
            else:
                kept.append(command)
                self._cursor.execute(
                    self._sql.put_version, (*owner, version.entity, version.order, conclusion.delivery)
                )
        return kept, older, equal

    def _outcome(self, c: Conclusion, state: State, commands: Any, *, holder: str = "", stale: int = 0) -> Committed:
        at = micros(c.at)
        self._put_outbox(c, commands, at)
        ids = orjson.dumps([command.id for command in commands]).decode()
        entities = orjson.dumps(c.entities if commands else ()).decode()
        self._add(
            self._sql.put_outcome,
            (c.delivery, c.attempt, at, state, c.event, c.key.text if c.key else "", holder, len(commands), stale,
             c.external_merchant, c.external_store, c.merchant_id, c.store_id, c.spec_hash, c.results, entities, ids),
        )  # fmt: skip
        if state != "duplicate":
            for cls, code, data in c.failures:
                self._add(
                    self._sql.put_failure,
                    (c.delivery, c.attempt, at, c.tenant, c.provider, c.connection, c.feed, cls, code, data.decode()),
                )
        self._add(self._sql.drop_in_flight, (c.delivery,))
        # A later entry of the batch may ask for this outcome.
        self._seen(c)
        return Committed(state, len(commands), holder=holder, stale=stale)

    def _seen(self, conclusion: Conclusion) -> None:
        if conclusion.replay or conclusion.attempt > 1:
            self.flush()

    def _put_outbox(self, c: Conclusion, commands: Any, at: int) -> None:
        by_key: dict[str, list[Emitted]] = {}
        for command in commands:
            by_key.setdefault(command.kafka_key, []).append(command)
        for kafka_key, group in by_key.items():
            ids = orjson.dumps([command.id for command in group]).decode()
            data = pack([command.event for command in group])
            self._add(
                self._sql.put_outbox, (c.delivery, c.attempt, shard_of(kafka_key), kafka_key, len(group), ids, data, at)
            )
