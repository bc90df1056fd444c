"""Stored requests, their outcomes, and the leases of those in flight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, insert, or_, select, update

from engine.failures import Failure
from stores import failure_sums
from stores.records import RawDelivery, State
from stores.tables import deliveries, failures, in_flight, moment, outcomes


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A request as stored; see RawDelivery for the columns."""

    id: str
    received_at: datetime
    tenant: str
    provider: str
    connection: str
    feed: str
    method: str
    url: str
    headers: bytes
    sealed: bytes
    body: bytes
    body_sealed: bool
    peer: str
    spec_hash: str
    quarantined: str
    place: str


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """What one attempt came to. `results`, `entities` and `command_ids` are JSON."""

    delivery: str
    attempt: int
    at: datetime
    state: State
    event: str
    key_text: str
    holder: str
    commands: int
    stale: int
    external_merchant: str
    external_store: str
    merchant_id: str
    store_id: str
    spec_hash: str
    results: bytes
    entities: str
    command_ids: str


@dataclass(frozen=True, slots=True)
class InFlight:
    """A delivery taken over. `attempts` counts this attempt too."""

    delivery: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a list of deliveries. `state` is that of the latest attempt."""

    id: str
    received_at: datetime
    tenant: str
    provider: str
    connection: str
    feed: str
    state: State
    commands: int
    attempt: int
    event: str


def received_at(id: str) -> datetime:
    """When a delivery was received, to the millisecond, as its id has it."""
    return moment(int(id[:12], 16) * 1000)


def get(connection: Connection, id: str) -> StoredDelivery | None:
    row = connection.execute(select(deliveries).where(deliveries.c.id == id)).first()
    return None if row is None else StoredDelivery(**row._mapping)


def outcomes_of(connection: Connection, id: str) -> list[StoredOutcome]:
    """All attempts at a delivery, the latest first."""
    statement = select(outcomes).where(outcomes.c.delivery == id).order_by(outcomes.c.attempt.desc())
    return [StoredOutcome(**row._mapping) for row in connection.execute(statement)]


def next_attempt(connection: Connection, id: str) -> int:
    latest = connection.scalar(select(func.max(outcomes.c.attempt)).where(outcomes.c.delivery == id))
    flying = connection.scalar(select(in_flight.c.attempts).where(in_flight.c.delivery == id))
    return max(latest or 0, flying or 0) + 1


_STATE = func.coalesce(outcomes.c.state, "in_flight")


def _listing(filters: Mapping[str, Any]) -> Select[Any]:
    later = outcomes.alias("later")
    newest = ~(
        select(later.c.delivery)
        .where(later.c.delivery == outcomes.c.delivery, later.c.attempt > outcomes.c.attempt)
        .exists()
    )
    d = deliveries.c
    joined = deliveries.outerjoin(outcomes, and_(outcomes.c.delivery == d.id, newest))
    statement = select(
        d.id, d.received_at, d.tenant, d.provider, d.connection, d.feed, _STATE,
        func.coalesce(outcomes.c.commands, 0), func.coalesce(outcomes.c.attempt, 0),
        func.coalesce(outcomes.c.event, ""),
    ).select_from(joined)  # fmt: skip
    for name in ("tenant", "provider", "connection", "feed"):
        if filters.get(name):
            statement = statement.where(d[name] == filters[name])
    if filters.get("state"):
        statement = statement.where(filters["state"] == _STATE)
    if filters.get("since"):
        statement = statement.where(d.received_at >= filters["since"])
    if filters.get("until"):
        statement = statement.where(d.received_at < filters["until"])
    for name in ("class", "code"):
        if filters.get(name):
            f = failures.c
            statement = statement.where(
                select(f.id).where(f.delivery == d.id, f[name] == filters[name], f.resolved_at.is_(None)).exists()
            )
    return statement


def listed(
    connection: Connection,
    filters: Mapping[str, Any],
    *,
    limit: int = 50,
    after: tuple[datetime, str] | None = None,
) -> list[Listed]:
    """The newest deliveries first. `filters`: tenant, provider, connection, feed, state, since, until, class, code.

    `after` is the (received_at, id) of the last line of the page before.
    """
    d = deliveries.c
    statement = _listing(filters).order_by(d.received_at.desc(), d.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(or_(d.received_at < after[0], and_(d.received_at == after[0], d.id < after[1])))
    return [Listed(*row) for row in connection.execute(statement)]


def ids(connection: Connection, filters: Mapping[str, Any]) -> Iterator[str]:
    """The ids of all deliveries that the filters choose, oldest first."""
    d = deliveries.c
    for row in connection.execute(_listing(filters).order_by(d.received_at, d.id)):
        yield row[0]


def take_over(
    connection: Connection, owner: str, now: datetime, until: datetime, limit: int, *, everything: bool = False
) -> list[InFlight]:
    """Leases left in-flight deliveries to `owner`: expired ones, or with `everything` all of other owners."""
    f = in_flight.c
    free = f.owner != owner if everything else f.lease_until <= now
    oldest = select(f.delivery).where(free).order_by(f.lease_until, f.delivery).limit(limit)
    # What another process takes over at this moment is left to it.
    chosen = list(connection.scalars(oldest.with_for_update(skip_locked=True)))
    if not chosen:
        return []
    statement = (
        update(in_flight)
        .where(f.delivery.in_(chosen), free)
        .values(owner=owner, lease_until=until, attempts=f.attempts + 1)
        .returning(f.delivery, f.attempts)
    )
    return [InFlight(*row) for row in connection.execute(statement)]


def renew(connection: Connection, owner: str, until: datetime, working: list[str]) -> None:
    """Prolongs the leases of deliveries that `owner` is still working on."""
    f = in_flight.c
    for start in range(0, len(working), 500):
        chosen = working[start : start + 500]
        connection.execute(update(in_flight).where(f.owner == owner, f.delivery.in_(chosen)).values(lease_until=until))


def quarantine(
    connection: Connection, id: str, at: datetime, failure: Failure, *, spec_hash: str, owner: Mapping[str, str]
) -> None:
    """The outcome and the failure of a request that did not verify. `owner`: tenant, provider, connection, feed."""
    connection.execute(
        insert(outcomes).values(
            delivery=id, attempt=1, at=at, state="quarantined", event="", key_text="", holder="", commands=0, stale=0,
            external_merchant="", external_store="", merchant_id="", store_id="", spec_hash=spec_hash, results=b"[]",
            entities="[]", command_ids="[]",
        )
    )  # fmt: skip
    connection.execute(
        insert(failures).values(
            {**owner, "delivery": id, "attempt": 1, "at": at, "class": failure.cls, "code": failure.code,
             "data": failure.to_json(), "told_at": at}
        )
    )  # fmt: skip
    # Whoever does not know the secret can send any number of these: the topic of failures gets sums.
    failure_sums.add(connection, at, failure.cls, failure.code, owner)


def evict_quarantined(
    connection: Connection, connection_id: str, peer: str, per_connection: int, per_address: int
) -> int:
    """Empties the oldest quarantined requests beyond the bounds; their outcomes say `evicted`. Returns how many."""
    d = deliveries.c
    gone: set[str] = set()
    for where, most in ((d.connection == connection_id, per_connection), (d.peer == peer, per_address)):
        statement = (
            select(d.id)
            .where(d.quarantined != "", where)
            .order_by(d.received_at.desc(), d.id.desc())
            .offset(most)
            .limit(1000)
        )
        gone.update(connection.scalars(statement))
    for id in gone:
        connection.execute(update(outcomes).where(outcomes.c.delivery == id).values(state="evicted"))
        connection.execute(
            update(deliveries).where(d.id == id).values(quarantined="", body=b"", headers=b"[]", sealed=b"")
        )
    return len(gone)


def keep_quarantined(
    connection: Connection, raw: RawDelivery, failure: Failure, owner: Mapping[str, str], most: int
) -> int:
    """Keeps a request that did not verify, at most so many for each connection and address; returns how many went."""
    connection.execute(insert(deliveries).values(raw._asdict()))
    quarantine(connection, raw.id, raw.received_at, failure, spec_hash=raw.spec_hash, owner=owner)
    return evict_quarantined(connection, raw.connection, raw.peer, most, most)


def release_from_quarantine(connection: Connection, id: str, owner: Mapping[str, str] | None = None) -> None:
    """A quarantined request that has verified at last is a delivery like others. `owner`: tenant, connection."""
    connection.execute(update(deliveries).where(deliveries.c.id == id).values(quarantined="", **(owner or {})))
