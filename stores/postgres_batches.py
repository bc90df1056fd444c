"""One transaction of the group writer on PostgreSQL, where other processes write too.

What a batch decides is decided by `stores.batches`, the same as on SQLite. Here stands how it reads and writes:
everything that its conclusions will ask for is locked and read beforehand, in few round trips and in one order
(deliveries in flight, keys, last accepted, versions, mappings), its questions are answered from memory, and what
it writes goes out as whole columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection

from engine.messages import IdempotencyKey, NewMapping
from stores import arrays
from stores import tables as t
from stores.batches import Batch, Flight
from stores.claims import KEY_STATE, Claims
from stores.locked_rows import Contended, Key, LockedRows, Row, RowStatements, row_statements
from stores.records import Committed, Conclusion
from stores.statements import Statements
from stores.tables import micros

_ROUNDS = 4
_PATIENCE_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.02
_MAPPING = ("tenant", "provider", "kind", "within", "external_id")


class _Sql(NamedTuple):
    """Statements over many rows; parameters are columns."""

    put_delivery: str
    put_in_flight: str
    land: str  # takes deliveries out of flight, returns their rows
    put_outcome: str
    outcomes_of: str
    put_outbox: str
    put_failure: str
    put_sum: str
    put_mapping: str
    mapping_of: str
    drop_mapping: str
    keys: RowStatements
    last_accepted: RowStatements
    versions: RowStatements


@cache
def _sql() -> _Sql:
    valid = 't."valid_to" IS NULL'
    return _Sql(
        put_delivery=arrays.insert_many(t.deliveries),
        put_in_flight=arrays.insert_many(t.in_flight),
        land=arrays.delete_many(t.in_flight, ["delivery"], [c.name for c in t.in_flight.c]),
        put_outcome=arrays.insert_many(t.outcomes),
        outcomes_of=arrays.read_many(
            t.outcomes, ["delivery"], ["delivery", "attempt", "state", "commands", "holder", "stale", "command_ids"]
        ),
        put_outbox=arrays.insert_many(t.outbox, without=["id", "topic"]),
        put_failure=arrays.insert_many(t.failures, without=["id", "resolved_at", "resolved_by", "told_at"]),
        put_sum=arrays.insert_many(t.failure_sums, without=["id"]),
        put_mapping=arrays.insert_many(
            t.mappings,
            without=["id", "valid_to"],
            key=_MAPPING,
            unless="(tenant, provider, kind, external_id, within) WHERE valid_to IS NULL",
        )
        + ', "id"',
        mapping_of=arrays.read_many(t.mappings, _MAPPING, [*_MAPPING, "canonical_id"], valid),
        drop_mapping=arrays.delete_many(t.mappings, ["id"]),
        keys=row_statements(t.keys),
        last_accepted=row_statements(t.last_accepted),
        versions=row_statements(t.entity_versions),
    )


class Memory:
    """A cursor's two halves, `execute` and `fetch…`, for the statements of a batch, over rows that are at hand."""

    def __init__(self, cursor: Any, statements: Statements) -> None:
        self._cursor, self._sql = cursor, _sql()
        self._keys = LockedRows(cursor, self._sql.keys, mostly_new=True)
        self._last = LockedRows(cursor, self._sql.last_accepted, mostly_new=False)
        self._versions = LockedRows(cursor, self._sql.versions, mostly_new=False)
        self._mappings = _Mappings(cursor, self._sql)
        self._outcomes: dict[str, dict[int, tuple[Any, ...]]] = {}
        self._landed: dict[str, Row] = {}
        self._flights: list[Row] = []
        self._answer: list[Any] = []
        s = statements
        self._single: dict[str, Callable[[Any], Any]] = {
            s.outcome_of: self._outcome_of,
            s.ids_of: lambda p: [(o[4],) for o in self._outcomes_of(p[0]).values()],
            s.jobs_of: lambda p: self._cursor.execute(s.jobs_of, p).fetchall(),
            s.key_of: lambda p: [(r[3], r[4], r[7], r[6]) for r in _some(self._keys.get(p))],
            s.put_key: lambda p: self._keys.put(tuple(p)),
            s.update_key: self._update_key,
            s.last_of: lambda p: [(r[4], r[5], r[6], r[3]) for r in _some(self._last.get(p))],
            s.put_last: lambda p: self._last.put(tuple(p)),
            s.version_of: lambda p: [r[3:] for r in _some(self._versions.get(p))],
            s.put_version: lambda p: self._versions.put(tuple(p)),
            s.mapping_of: lambda p: [(c,) for c in _some(self._mappings.get(p))],
        }
        self._many: dict[str, Callable[[Sequence[Row]], Any]] = {
            s.put_delivery: lambda rows: self._write(self._sql.put_delivery, rows),
            s.put_in_flight: lambda rows: self._write(self._sql.put_in_flight, rows),
            s.drop_in_flight: self._land_for_good,
            s.put_outcome: self._put_outcomes,
            s.put_outbox: lambda rows: self._write(self._sql.put_outbox, rows),
            s.put_failure: lambda rows: self._write(self._sql.put_failure, rows),
            s.put_sum: lambda rows: self._write(self._sql.put_sum, rows),
            s.put_mapping: lambda rows: self._mappings.put(rows),
        }

    def expect(self, conclusions: Sequence[Conclusion]) -> None:
        """Locks and reads what these will ask for."""
        self._expect_outcomes(conclusions)
        claiming = [(c, c.key) for c in conclusions if c.state != "duplicate" and c.key is not None]
        self._keys.lock(_first(_likely_key(c, k) for c, k in claiming if _is_key(k)))
        self._last.lock(_first(_likely_last(c, k) for c, k in claiming if k.strategy == "payload_hash_last"))
        self._versions.lock(_first(row for c in conclusions for row in _likely_versions(c)))
        self._mappings.expect(
            [(c, new) for c in conclusions if c.state != "duplicate" for new in c.mappings]
        )  # fmt: skip

    def execute(self, sql: str, parameters: Any = ()) -> Memory:
        self._answer = self._single[sql](tuple(parameters)) or []
        return self

    def executemany(self, sql: str, rows: Sequence[Row]) -> None:
        self._many[sql](rows)

    def fetchone(self) -> Any:
        return self._answer[0] if self._answer else None

    def fetchall(self) -> Any:
        return self._answer

    def flush(self, *, last: bool) -> None:
        """Writes what was decided. After the `last` decision, deliveries that have no outcome stay in flight."""
        for rows in (self._keys, self._last, self._versions):
            rows.flush(last=last)
        if not last:
            return
        self._mappings.flush()
        if self._landed:
            self._write(self._sql.put_in_flight, list(self._landed.values()))
            self._landed = {}

    def _write(self, sql: str, rows: Sequence[Row]) -> None:
        self._cursor.execute(sql, arrays.columns(rows))

    # ---- outcomes and what is in flight ----

    def _expect_outcomes(self, conclusions: Sequence[Conclusion]) -> None:
        """To land a delivery has whoever else concludes it wait. One that was in flight has no outcome yet.

        That is so for first attempts; others ask.
        """
        if not conclusions:
            return
        deliveries = sorted({c.delivery for c in conclusions})
        self._cursor.execute(self._sql.land, [deliveries])
        for row in self._cursor.fetchall():
            self._landed[row[0]] = row
        asked = []
        for c in conclusions:
            if c.attempt == 1 and not c.replay and c.delivery in self._landed and self._landed[c.delivery][3] == 1:
                self._outcomes.setdefault(c.delivery, {})
            else:
                asked.append(c.delivery)
        if asked:
            self._read_outcomes(sorted(set(asked)))

    def _read_outcomes(self, deliveries: list[str]) -> None:
        for delivery in deliveries:
            self._outcomes[delivery] = {}
        self._cursor.execute(self._sql.outcomes_of, [deliveries])
        for delivery, attempt, *rest in self._cursor.fetchall():
            self._outcomes[delivery][attempt] = tuple(rest)

    def _outcomes_of(self, delivery: str) -> dict[int, tuple[Any, ...]]:
        if delivery not in self._outcomes:
            self._read_outcomes([delivery])
        return self._outcomes[delivery]

    def _outcome_of(self, parameters: Row) -> list[Row]:
        delivery, attempt = parameters
        found = self._outcomes_of(delivery).get(attempt)
        return [] if found is None else [found[:4]]

    def _put_outcomes(self, rows: Sequence[Row]) -> None:
        self._write(self._sql.put_outcome, rows)
        for row in rows:
            # state, commands, holder, stale, command_ids
            self._outcomes_of(row[0])[row[1]] = (row[3], row[7], row[6], row[8], row[16])

    def _land_for_good(self, rows: Sequence[Row]) -> None:
        unexpected = []
        for (delivery,) in rows:
            if self._landed.pop(delivery, None) is None:
                unexpected.append(delivery)
        if unexpected:
            self._cursor.execute(self._sql.land, [sorted(unexpected)])

    def _update_key(self, parameters: Row) -> None:
        state, written, *key = parameters
        row = self._keys.get(tuple(key))
        if row is not None:
            self._keys.put((*row[:4], state, *row[5:7], written))


class _Mappings:
    """External ids that conclusions have just given canonical ids: inserted first, taken back where unwanted."""

    def __init__(self, cursor: Any, sql: _Sql) -> None:
        self._cursor, self._sql = cursor, sql
        self._canonical: dict[Key, str | None] = {}
        self._made: dict[Key, int] = {}

    def expect(self, created: Iterable[tuple[Conclusion, NewMapping]]) -> None:
        likely: dict[Key, Row] = {}
        for c, new in created:
            ref, canonical_id = new
            row = (c.tenant, c.provider, *ref, canonical_id, micros(c.at), "created")
            likely.setdefault(row[:5], row)
        left = sorted(key for key in likely if key not in self._canonical)
        for _ in range(_ROUNDS):
            if not left:
                return
            self._cursor.execute(self._sql.put_mapping, arrays.columns([likely[key] for key in left]))
            for *key, id in self._cursor.fetchall():
                self._made[tuple(key)], self._canonical[tuple(key)] = id, None
            self._read([key for key in left if key not in self._canonical])
            left = [key for key in left if key not in self._canonical]
        raise Contended

    def get(self, key: Key) -> str | None:
        if key not in self._canonical:
            self._read([key])
        return self._canonical.get(key)

    def put(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._canonical[row[:5]] = row[5]
            if self._made.pop(row[:5], None) is None:
                raise Contended

    def flush(self) -> None:
        if self._made:
            self._cursor.execute(self._sql.drop_mapping, [list(self._made.values())])
            self._made = {}

    def _read(self, keys: Sequence[Key]) -> None:
        if keys:
            self._cursor.execute(self._sql.mapping_of, arrays.columns(keys))
            for *key, canonical_id in self._cursor.fetchall():
                self._canonical[tuple(key)] = canonical_id


class PostgresBatch(Batch):
    """A batch that says beforehand what it will ask for. Its `session` is the process id of its backend."""

    def __init__(self, connection: Connection, sql: Statements) -> None:
        super().__init__(connection, sql)
        self._direct = self._cursor
        self._cursor = self._memory = Memory(self._direct, sql)
        self._claims = Claims(self._memory, sql)
        self._undecided = 0
        self.session = self._direct.connection.info.backend_pid

    def expect(self, entries: Sequence[Any]) -> None:
        conclusions = [what for what in entries if isinstance(what, Conclusion)]
        self._undecided = len(conclusions)
        self._memory.expect(conclusions)

    def conclude(self, conclusion: Conclusion) -> Committed:
        committed = super().conclude(conclusion)
        self._undecided -= 1
        return committed

    def flush(self) -> None:
        super().flush()
        self._memory.flush(last=self._undecided == 0)

    def wait_for_end(self, session: int) -> bool:
        """Waits until a backend whose client has lost it has ended what it did; False: not within the time."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < give_up:
            # Within a transaction the activity is otherwise read once.
            self._direct.execute("SELECT pg_stat_clear_snapshot()")
            self._direct.execute(
                "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND backend_xid IS NOT NULL", (session,)
            )
            if self._direct.fetchone() is None:
                return True
            time.sleep(_LOOK_AGAIN_SECONDS)
        return False

    def stands(self, what: Flight | Conclusion) -> bool:
        self._cursor = self._direct
        try:
            return super().stands(what)
        finally:
            self._cursor = self._memory


def _some(row: Any) -> list[Any]:
    return [] if row is None else [row]


def _first(rows: Iterable[Row]) -> dict[Key, Row]:
    """By key; of several that likely stand, the one that comes first."""
    found: dict[Key, Row] = {}
    for row in rows:
        found.setdefault(row[:3], row)
    return found


def _is_key(key: IdempotencyKey) -> bool:
    return key.strategy not in ("delivery", "payload_hash_last")


def _likely_key(c: Conclusion, key: IdempotencyKey) -> Row:
    until = None if key.window is None else micros(c.received_at + timedelta(seconds=key.window))
    state = KEY_STATE.get(c.state, "done")
    return (c.tenant, c.provider, key.text, c.delivery, state, micros(c.received_at), until, None)


def _likely_last(c: Conclusion, key: IdempotencyKey) -> Row:
    state = KEY_STATE.get(c.state, "done")
    return (c.tenant, c.provider, key.scope_key, key.text, c.claimant or c.delivery, state, None)


def _likely_versions(c: Conclusion) -> Iterable[Row]:
    for group in c.groups:
        for version in group.versions or ():
            if version is not None:
                yield (c.tenant, c.provider, version.entity, version.order, c.delivery)
