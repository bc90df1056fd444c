"""Stored requests, their outcomes, and the leases of those in flight."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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


def evict_quarantined(connection: Connection, connection_id: str, peer: str, most: int, most_bytes: int) -> int:
    """Empties the oldest quarantined requests beyond the bounds of a connection and of an address.

    Their outcomes say `evicted`. Returns how many.
    """
    d = deliveries.c
    size = func.length(d.body) + func.length(d.headers) + func.length(d.sealed)
    gone: set[str] = set()
    for where in (d.connection == connection_id, d.peer == peer):
        newest_first = select(d.id, size).where(d.quarantined != "", where).order_by(d.received_at.desc(), d.id.desc())
        held = 0
        for number, (id, bytes) in enumerate(connection.execute(newest_first.limit(most + 1000)).all()):
            held += bytes
            if number >= most or held > most_bytes:
                gone.add(id)
    _evict(connection, gone)
    return len(gone)


def evict_older(connection: Connection, before: datetime, limit: int) -> int:
    """Empties quarantined requests that came before then, the oldest first; returns how many."""
    d = deliveries.c
    old = select(d.id).where(d.quarantined != "", d.received_at < before).order_by(d.received_at, d.id).limit(limit)
    gone = set(connection.scalars(old.with_for_update(skip_locked=True)))
    _evict(connection, gone)
    return len(gone)


def _evict(connection: Connection, ids: Collection[str]) -> None:
    for id in sorted(ids):
        connection.execute(update(outcomes).where(outcomes.c.delivery == id).values(state="evicted"))
        connection.execute(
            update(deliveries).where(deliveries.c.id == id).values(quarantined="", body=b"", headers=b"[]", sealed=b"")
        )


def keep_quarantined(
    connection: Connection, raw: RawDelivery, failure: Failure, owner: Mapping[str, str], most: int, most_bytes: int
) -> int:
    """Keeps a request that did not verify, within bounds for each connection and address; returns how many went."""
    connection.execute(insert(deliveries).values(raw._asdict()))
    quarantine(connection, raw.id, raw.received_at, failure, spec_hash=raw.spec_hash, owner=owner)
    return evict_quarantined(connection, raw.connection, raw.peer, most, most_bytes)


def quarantined_ids(connection: Connection, connection_id: str, provider: str) -> list[str]:
    """What is quarantined of a connection, and of its provider without a connection; the oldest first."""
    d = deliveries.c
    whose = or_(d.connection == connection_id, and_(d.connection == "", d.provider == provider))
    return list(connection.scalars(select(d.id).where(d.quarantined != "", whose).order_by(d.received_at, d.id)))


def release_from_quarantine(
    connection: Connection, id: str, owner: Mapping[str, str], worker: str, lease_until: datetime
) -> bool:
    """A quarantined request that has verified at last is a delivery like others, in flight until it is concluded.

    `owner`: tenant, connection; `worker` works on it. False: it is not quarantined any more.
    """
    d = deliveries.c
    changed = update(deliveries).where(d.id == id, d.quarantined != "").values(quarantined="", **owner)
    if not connection.execute(changed).rowcount:
        return False
    # Its first attempt was the refusal.
    flying = {"delivery": id, "owner": worker, "lease_until": lease_until, "attempts": 1}
    connection.execute(insert(in_flight).values(flying))
    return True
