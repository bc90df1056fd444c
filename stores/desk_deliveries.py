"""Lists of deliveries for the support desk: every filter, the newest first, a page at a time.

A delivery's id begins with the time at which it came, so that lists go by id alone: a page is the ids below the
last one of the page before (keyset paging), and each filter has an index that ends in the id. What no index
serves (a SKU, a text) is looked for in a bounded number of deliveries; the page says how far it looked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.sql.expression import FromClause

from stores.desk_bytes import BytesWithin
from stores.tables import deliveries, failures, in_flight, mappings, micros, moment, outcomes

LOOKED_THROUGH = 5_000
"""So many deliveries are looked through for a text before the page says how far it came."""
_HOUR = 3_600_000_000
_STORES = 50
"""So many ids of one store are looked for."""
# Written out: a partial index is used only where the statement says what the index does.
_NOT_ACCEPTED: ColumnElement[bool] = outcomes.c.state != literal_column("'accepted'")
_OF_A_STORE: ColumnElement[bool] = outcomes.c.external_store != literal_column("''")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; "" and None: anything. `store` is the provider's id of it or the canonical one.

    `store_ids` are the provider's ids that `store` stands for; where they are not given, they are looked up.
    `sku` is an id that a body, a failure or a command of it names; `text` stands in its body or URL.
    """

    provider: str = ""
    feed: str = ""
    connection: str = ""
    tenant: str = ""
    state: str = ""
    cls: str = ""
    code: str = ""
    since: datetime | None = None
    until: datetime | None = None
    store: str = ""
    sku: str = ""
    id: str = ""
    text: str = ""
    store_ids: tuple[str, ...] = ()

    @property
    def chosen(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))


@dataclass(frozen=True, slots=True)
class Line:
    """A delivery in a list. `state` is that of its latest attempt; `store` is the provider's id."""

    id: str
    received_at: datetime
    tenant: str
    provider: str
    connection: str
    feed: str
    state: str
    commands: int
    attempt: int
    event: str
    store: str


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the id that the next page begins below, "" after the last. `looked_to` is how far back a text was
    looked for, None where all that there is was seen."""

    lines: tuple[Line, ...]
    next: str
    looked_to: datetime | None = None


def _id_at(at: datetime) -> str:
    """What sorts before the ids of all deliveries received from then on."""
    return f"{max(micros(at), 0) // 1000:012x}"


def _newest() -> ColumnElement[bool]:
    later = outcomes.alias("later")
    o = outcomes.c
    return ~select(later.c.delivery).where(later.c.delivery == o.delivery, later.c.attempt > o.attempt).exists()


def _driving(filters: Filters) -> tuple[FromClause, ColumnElement[str]]:
    """Where the ids are read from: the table whose index the filters use best."""
    d, o = deliveries.c, outcomes.c
    if filters.state == "in_flight":
        joined = in_flight.join(deliveries, d.id == in_flight.c.delivery)
        return joined.outerjoin(outcomes, and_(o.delivery == d.id, _newest())), in_flight.c.delivery
    if filters.state not in ("", "accepted") or filters.store:
        return outcomes.join(deliveries, and_(d.id == o.delivery, _newest())), o.delivery
    return deliveries.outerjoin(outcomes, and_(o.delivery == d.id, _newest())), d.id


def _where(statement: Select[Any], filters: Filters, id: ColumnElement[str]) -> Select[Any]:
    d, o, f = deliveries.c, outcomes.c, failures.c
    for name in ("provider", "feed", "connection", "tenant"):
        if value := getattr(filters, name):
            statement = statement.where(d[name] == value)
    if filters.state == "in_flight":
        statement = statement.where(o.state.is_(None))
    elif filters.state:
        statement = statement.where(o.state == filters.state)
        statement = statement if filters.state == "accepted" else statement.where(_NOT_ACCEPTED)
    if filters.store:
        stores = [o.external_store == one for one in filters.store_ids or (filters.store,)]
        statement = statement.where(_OF_A_STORE, or_(*stores))
    if filters.id:
        statement = statement.where(id == filters.id)
    if filters.since:
        statement = statement.where(id >= _id_at(filters.since))
    if filters.until:
        statement = statement.where(id < _id_at(filters.until))
    if filters.cls or filters.code:
        wrong = select(f.delivery).where(f.delivery == id, f.resolved_at.is_(None))
        wrong = wrong.where(f.code == filters.code) if filters.code else wrong
        wrong = wrong.where(f["class"] == filters.cls) if filters.cls else wrong
        statement = statement.where(wrong.exists())
    return statement


def _failed(filters: Filters, below: str, limit: int) -> Select[Any]:
    """The ids of deliveries with such open failures, the newest first: few, where most deliveries have none."""
    f = failures.c
    statement = select(f.delivery).where(f.resolved_at.is_(None)).distinct()
    if filters.code:
        statement = statement.where(f.code == filters.code)
    if filters.cls:
        statement = statement.where(f["class"] == filters.cls)
    for name in ("provider", "feed", "connection", "tenant"):
        if value := getattr(filters, name):
            statement = statement.where(f[name] == value)
    if filters.since:
        statement = statement.where(f.delivery >= _id_at(filters.since))
    if filters.until:
        statement = statement.where(f.delivery < _id_at(filters.until))
    if below:
        statement = statement.where(f.delivery < below)
    return statement.order_by(f.delivery.desc()).limit(limit)


def _mentions(filters: Filters) -> ColumnElement[bool]:
    """Whether a delivery mentions the SKU and the text. Bodies are bytes: what is looked for is too."""
    d, o, f = deliveries.c, outcomes.c, failures.c
    found: list[ColumnElement[bool]] = []
    for wanted, names in ((filters.sku, True), (filters.text, False)):
        if not wanted:
            continue
        places = [_within(d.body, wanted), d.url.contains(wanted, autoescape=True)]
        if names:
            places.append(o.entities.contains(wanted, autoescape=True))
            places.append(select(f.id).where(f.delivery == d.id, f.external_id == wanted).exists())
        found.append(or_(*places))
    return and_(*found)


def _within(column: Any, wanted: str) -> ColumnElement[bool]:
    return BytesWithin(column, literal(wanted.encode("utf-8", "surrogatepass"))) > 0


_O = outcomes.c
_LINE = (
    deliveries.c.id, deliveries.c.received_at, deliveries.c.tenant, deliveries.c.provider, deliveries.c.connection,
    deliveries.c.feed, func.coalesce(_O.state, "in_flight"), func.coalesce(_O.commands, 0),
    func.coalesce(_O.attempt, 0), func.coalesce(_O.event, ""), func.coalesce(_O.external_store, ""),
)  # fmt: skip


def _with_stores(connection: Connection, filters: Filters) -> Filters:
    m, o = mappings.c, outcomes.c
    named = select(m.external_id).where(m.canonical_id == filters.store, m.kind == "store").distinct().limit(_STORES)
    ids = dict.fromkeys((filters.store, *connection.scalars(named)))
    seen = [
        one
        for one in ids
        if connection.scalar(select(o.delivery).where(_OF_A_STORE, o.external_store == one).limit(1)) is not None
    ]
    return replace(filters, store_ids=tuple(seen))


def page(connection: Connection, filters: Filters, *, below: str = "", limit: int = 50) -> Page:
    """The newest deliveries that the filters choose, below an id."""
    if filters.store and not filters.store_ids:
        filters = _with_stores(connection, filters)
    if (filters.cls or filters.code) and not (filters.state or filters.store or filters.sku or filters.text):
        ids = list(connection.scalars(_failed(filters, below, limit + 1)))
        if filters.id:
            ids = [one for one in ids if one == filters.id]
        return _page(lines(connection, ids), limit)
    source, id = _driving(filters)
    statement = _where(select(*_LINE).select_from(source), filters, id)
    if below:
        statement = statement.where(id < below)
    statement = statement.order_by(id.desc())
    if filters.sku or filters.text:
        return _looked(connection, statement, filters, id, limit)
    return _page([Line(*row) for row in connection.execute(statement.limit(limit + 1))], limit)


def lines(connection: Connection, ids: list[str]) -> list[Line]:
    """These deliveries, the newest first."""
    d = deliveries.c
    source = deliveries.outerjoin(outcomes, and_(_O.delivery == d.id, _newest()))
    statement = select(*_LINE).select_from(source).where(d.id.in_(ids)).order_by(d.id.desc())
    return [Line(*row) for row in connection.execute(statement)]


def _looked(
    connection: Connection, statement: Select[Any], filters: Filters, id: ColumnElement[str], limit: int
) -> Page:
    near = statement.with_only_columns(id.label("id")).limit(LOOKED_THROUGH).subquery()
    last = connection.execute(select(func.min(near.c.id), func.count())).one()
    mentioned = statement.where(id >= last[0], _mentions(filters)).limit(limit + 1) if last[0] else None
    lines = [] if mentioned is None else [Line(*row) for row in connection.execute(mentioned)]
    found = _page(lines, limit)
    if found.next or last[1] < LOOKED_THROUGH:
        return found
    return Page(found.lines, last[0], moment(int(last[0][:12], 16) * 1000))


def _page(lines: list[Line], limit: int) -> Page:
    shown = tuple(lines[:limit])
    return Page(shown, shown[-1].id if len(lines) > limit else "")


def chosen_ids(connection: Connection, filters: Filters, most: int) -> Iterator[str]:
    """The ids that the filters choose, at most so many, the newest first."""
    below, left = "", most
    while left > 0:
        found = page(connection, filters, below=below, limit=min(1000, left))
        yield from (one.id for one in found.lines)
        left -= len(found.lines)
        if not found.next:
            return
        below = found.next


def count(connection: Connection, filters: Filters, most: int) -> int:
    """How many the filters choose, counted up to `most`."""
    return sum(1 for _ in chosen_ids(connection, filters, most))


@dataclass(frozen=True, slots=True)
class Hour:
    """What came to an end within the hour that begins at `at`: the number of attempts by state."""

    at: datetime
    states: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.states.values())


def by_hour(connection: Connection, now: datetime, hours: int) -> list[Hour]:
    """First attempts of the last hours by state, the oldest hour first; hours without any too."""
    o = outcomes.c
    first = micros(now) // _HOUR - hours + 1
    # Whole division of whole numbers is written // by SQLAlchemy on both databases.
    hour = type_coerce(o.at, BigInteger) // _HOUR
    statement = (
        select(hour, o.state, func.count()).where(o.at >= moment(first * _HOUR), o.attempt == 1).group_by(hour, o.state)
    )
    found: dict[int, dict[str, int]] = {}
    for at, state, total in connection.execute(statement):
        found.setdefault(int(at), {})[state] = total
    return [Hour(moment(n * _HOUR), found.get(n, {})) for n in range(first, first + hours)]


@dataclass(frozen=True, slots=True)
class Sender:
    """When a connection last sent something, and how many deliveries came since a time."""

    connection: str
    last: datetime | None
    recent: int


def senders(connection: Connection, ids: list[str], now: datetime, hours: int) -> list[Sender]:
    """The connections' last deliveries and how many came within the last hours (counted up to 10,000 each)."""
    d = deliveries.c
    since = _id_at(now - timedelta(hours=hours))
    found = []
    for id in ids:
        last = connection.scalar(select(d.id).where(d.connection == id).order_by(d.id.desc()).limit(1))
        near = select(d.id).where(d.connection == id, d.id >= since).limit(10_000).subquery()
        recent = connection.scalar(select(func.count()).select_from(near)) or 0
        found.append(Sender(id, moment(int(last[:12], 16) * 1000) if last else None, recent))
    return found
