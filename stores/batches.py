"""What one transaction of the group writer writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import Connection

from engine.failures import Failure
from engine.messages import EntityVersion
from stores import snapshots
from stores.causes import about_json
from stores.claims import Claim, Claims
from stores.failure_sums import MINUTE
from stores.outbox import grouped, ids_text, picked
from stores.records import Committed, Conclusion, Group, RawDelivery, State
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

    session = 0
    """What the database calls the session that writes, where COMMIT can be lost on the way back."""

    def __init__(self, connection: Connection, sql: Statements) -> None:
        self._connection = connection
        self._cursor: Any = connection.connection.cursor()
        self._sql = sql
        self._claims = Claims(self._cursor, sql)
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._duplicates: Counter[tuple[int, str, str, str, str]] = Counter()

    def expect(self, entries: Sequence[Any]) -> None:
        """Told beforehand what will be received and concluded: of use where it saves round trips."""

    def wait_for_end(self, session: int) -> bool:
        """Whether a lost session has ended its transaction. SQLite's has, with its connection."""
        return True

    def receive(self, flight: Flight) -> None:
        raw = flight.raw
        self._add(
            self._sql.put_delivery,
            (raw.id, micros(raw.received_at), raw.tenant, raw.provider, raw.connection, raw.feed, raw.method, raw.url,
             raw.headers, raw.sealed, raw.body, raw.body_sealed, raw.peer, raw.spec_hash, raw.quarantined, raw.place),
        )  # fmt: skip
        if not raw.quarantined:
            self._add(self._sql.put_in_flight, (raw.id, flight.owner, flight.lease_until, 1))

    def conclude(self, conclusion: Conclusion) -> Committed:
        if conclusion.replay or conclusion.attempt > 1:
            # An earlier attempt may stand before it in this batch.
            self.flush()
        if (standing := self._standing(conclusion)) is not None:
            return standing
        if conclusion.state == "duplicate":
            # Known before the rules ran: nothing is claimed.
            return self._outcome(conclusion, "duplicate", (), holder=conclusion.claimant)
        claim = self._claims.claim(conclusion)
        if conclusion.presences and not claim.again and not claim.holder:
            return self._compared(conclusion, claim)
        if claim.holder:
            return self._outcome(conclusion, "duplicate", (), holder=claim.holder)
        if claim.again or not self._map(conclusion):
            return Committed("in_flight", 0, remapped=True)
        fresh = _unwritten(conclusion.groups, claim.written) if claim.written else conclusion.groups
        kept, older, equal = self._in_order(conclusion, fresh)
        state: State = conclusion.state
        if state == "accepted" and fresh and not kept:
            state = "stale" if older else "duplicate"
        self._claims.keep(conclusion, claim, kept)
        return self._outcome(conclusion, state, kept, stale=older + equal)

    def _compared(self, conclusion: Conclusion, claim: Claim) -> Committed:
        """The same for a delivery that says who is there: it may retire, wait, or tell nothing new."""
        settled = snapshots.settle(self._connection, conclusion)
        if settled.beyond is not None:
            return self._waits(conclusion, claim, settled.beyond)
        if not self._map(conclusion):
            return Committed("in_flight", 0, remapped=True)
        groups = _without(conclusion.groups, settled.stale | settled.unchanged) + list(grouped(settled.retired))
        fresh = _unwritten(groups, claim.written) if claim.written else groups
        kept, older, equal = self._in_order(conclusion, fresh)
        older += len(settled.stale)
        state: State = conclusion.state
        if state == "accepted" and not kept and older:
            state = "stale"
        elif state == "accepted" and fresh and not kept:
            state = "duplicate"
        self._claims.keep(conclusion, claim, kept)
        written = claim.written.union(orjson.loads(ids_text(kept)))
        snapshots.keep(self._connection, conclusion, settled, written)
        if settled.retired:
            retired = [command.entity for command in settled.retired]
            touched = orjson.dumps([*orjson.loads(conclusion.entities), *retired]).decode()
            conclusion = conclusion._replace(entities=touched)
        return self._outcome(conclusion, state, kept, stale=older + equal)

    def _waits(self, conclusion: Conclusion, claim: Claim, failure: Failure) -> Committed:
        """Parks a delivery that would retire more than its guard allows."""
        problem = orjson.dumps(failure.to_json())
        failures = (*conclusion.failures, (failure.cls, failure.code, problem))
        parked = conclusion._replace(state="parked", groups=(), mappings=(), failures=failures)
        self._claims.keep(parked, claim, ())
        return self._outcome(parked, "parked", ())._replace(problem=problem)

    def flush(self) -> None:
        for sql, rows in self._rows.items():
            self._cursor.executemany(sql, rows)
        self._rows = {}
        if self._duplicates:
            rows = [(*of, "duplicate", "duplicate", count, False) for of, count in self._duplicates.items()]
            self._cursor.executemany(self._sql.put_sum, rows)
            self._duplicates.clear()

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

    def _in_order(self, conclusion: Conclusion, groups: Sequence[Group]) -> tuple[list[Group], int, int]:
        """The commands that are newer than what was written, and how many were older or equal."""
        kept: list[Group] = []
        told: Counter[_Order] = Counter()
        for group in groups:
            if group.versions is None:
                kept.append(group)
                continue
            orders = [self._order(conclusion, version) for version in group.versions]
            told.update(orders)
            if newer := _only(group, [order == "newer" for order in orders]):
                kept.append(newer)
        return kept, told["older"], told["equal"]

    def _order(self, conclusion: Conclusion, version: EntityVersion | None) -> _Order:
        """How a version stands to the one that was written last; a newer one takes its place."""
        if version is None:
            return "newer"
        owner = (conclusion.tenant, conclusion.provider)
        delivery = conclusion.whole or conclusion.delivery
        self._cursor.execute(self._sql.version_of, (*owner, version.entity))
        row = self._cursor.fetchone()
        if row is not None and version.order < row[0]:
            return "older"
        if row is not None and version.order == row[0] and row[1] != delivery:
            return "equal"
        self._cursor.execute(self._sql.put_version, (*owner, version.entity, version.order, delivery))
        return "newer"

    def _outcome(
        self, c: Conclusion, state: State, groups: Sequence[Group], *, holder: str = "", stale: int = 0
    ) -> Committed:
        at = micros(c.at)
        count = 0
        for kafka_key, own, ids, data, _ in groups:
            count += own
            self._add(self._sql.put_outbox, (c.delivery, c.attempt, shard_of(kafka_key), kafka_key, own, ids, data, at))
        self._add(
            self._sql.put_outcome,
            (c.delivery, c.attempt, at, state, c.event, c.key.text if c.key else "", holder, count, stale,
             c.external_merchant, c.external_store, c.merchant_id, c.store_id, c.spec_hash, c.results,
             c.entities if groups else "[]", ids_text(groups)),
        )  # fmt: skip
        if state == "duplicate":
            self._duplicates[at - at % MINUTE, c.tenant, c.provider, c.connection, c.feed] += 1
        else:
            for cls, code, data in c.failures:
                self._add(
                    self._sql.put_failure,
                    (c.delivery, c.attempt, at, c.tenant, c.provider, c.connection, c.feed, cls, code, data.decode(),
                     *about_json(data)),
                )  # fmt: skip
        self._add(self._sql.drop_in_flight, (c.delivery,))
        # A later entry of the batch may ask for this outcome.
        self._seen(c)
        return Committed(state, count, holder=holder, stale=stale)

    def _seen(self, conclusion: Conclusion) -> None:
        if conclusion.replay or conclusion.attempt > 1:
            self.flush()


_Order = Literal["newer", "older", "equal"]


def _unwritten(groups: Sequence[Group], written: frozenset[str]) -> list[Group]:
    """The commands that were not written by an earlier attempt."""
    found = (_only(group, [id not in written for id in orjson.loads(group.ids)]) for group in groups)
    return [group for group in found if group is not None]


def _without(groups: Sequence[Group], ids: frozenset[str]) -> list[Group]:
    return _unwritten(groups, ids) if ids else list(groups)


def _only(group: Group, wanted: list[bool]) -> Group | None:
    if all(wanted):
        return group
    return picked(group, wanted) if any(wanted) else None
