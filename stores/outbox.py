"""Commands that wait for the bus: one row for each delivery and Kafka key.

A row leaves for `published` when the bus has every command of it. A row that the bus will never take is
parked: it stays, under the shard -1 - shard that no relay leases, until an operator releases it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import accumulate
from typing import NamedTuple

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Text,
    delete,
    func,
    insert,
    literal,
    select,
    true,
    type_coerce,
    update,
)

from engine.failures import Failure
from stores.tables import deliveries, failures, outbox, published

SEPARATOR = b",\n"
CHUNK = 500
# The text of `ids` is read as it is: the generic JSON type is slower than all the rest of a row.
COLUMNS = (
    outbox.c.id,
    outbox.c.delivery,
    outbox.c.attempt,
    outbox.c.shard,
    outbox.c.kafka_key,
    outbox.c.count,
    type_coerce(outbox.c.ids, Text),
    outbox.c.data,
    outbox.c.created_at,
)
NEXT_STEP = "Mend the cause, then release the delivery's parked commands to the relay."


class Pending(NamedTuple):
    """One outbox row. `ids` and `events` have the same length and order."""

    id: int
    delivery: str
    attempt: int
    shard: int
    kafka_key: str
    ids: list[str]
    events: list[bytes]
    created_at: datetime


class Unreadable(NamedTuple):
    """An outbox row whose ids and events do not match; it can only be parked."""

    id: int
    delivery: str
    attempt: int
    shard: int


class Rejected(NamedTuple):
    """A row that the bus will never take, and why: a stable code, a sentence, and facts in JSON values."""

    id: int
    code: str
    message: str
    facts: dict[str, object]


class Counts(NamedTuple):
    """Rows and commands of the outbox; `parked` ones are not among the `pending`."""

    pending_rows: int
    pending_commands: int
    parked_rows: int
    parked_commands: int
    published_rows: int
    published_commands: int


def pack(events: Sequence[bytes]) -> bytes:
    """The JSON array of a row's events, each a JSON object without raw line ends.

    JSON writes a line end inside a text as an escape, so the line ends between events tell them apart and
    `unpack` need not parse them.
    """
    return b"[" + SEPARATOR.join(events) + b"]"


def unpack(data: bytes, count: int) -> list[bytes]:
    """The `count` events of a row, byte for byte as packed. Raises ValueError when they are not there."""
    events = data[1:-1].split(SEPARATOR) if count else []
    if len(events) != count:
        listed = orjson.loads(data)
        if not isinstance(listed, list) or len(listed) != count:
            raise ValueError(f"the row does not hold {count} events")
        events = [orjson.dumps(event) for event in listed]
    return events


def pending(
    connection: Connection, shards: Collection[int], rows: int, size: int
) -> tuple[list[Pending], list[Unreadable]]:
    """The oldest rows of these shards: at most `rows`, and of `size` bytes of events but at least one row."""
    found: list[Pending] = []
    unreadable: list[Unreadable] = []
    if not shards:
        return found, unreadable
    own = _within(shards)
    fitting = _fitting(connection, own, rows, size)
    oldest = select(*COLUMNS).where(own).order_by(outbox.c.id).limit(fitting)
    for id, delivery, attempt, shard, kafka_key, count, ids, data, created_at in connection.execute(oldest):
        try:
            texts = orjson.loads(ids) if isinstance(ids, str | bytes) else ids
            events = unpack(data, count)
            if len(texts) != count:
                raise ValueError(f"{len(texts)} ids instead of {count}")
        except (ValueError, TypeError):
            unreadable.append(Unreadable(id, delivery, attempt, shard))
            continue
        found.append(Pending(id, delivery, attempt, shard, kafka_key, texts, events, created_at))
    return found, unreadable


def mark_published(connection: Connection, rows: Sequence[int], at: datetime) -> None:
    """Moves rows to `published`. The caller holds the fence of their shards in this transaction."""
    kept = ("id", "delivery", "attempt", "shard", "kafka_key", "count", "ids")
    for start in range(0, len(rows), CHUNK):
        chosen = outbox.c.id.in_(rows[start : start + CHUNK])
        moved = select(*(outbox.c[name] for name in kept), literal(at, published.c.at.type)).where(chosen)
        connection.execute(insert(published).from_select([*kept, "at"], moved))
        connection.execute(delete(outbox).where(chosen))


def park(connection: Connection, rejected: Sequence[Rejected], at: datetime) -> None:
    """Takes rows out of the relay's way and records a failure of class processing for each."""
    for row in rejected:
        parked = (
            update(outbox)
            .where(outbox.c.id == row.id, outbox.c.shard >= 0)
            .values(shard=-1 - outbox.c.shard)
            .returning(outbox.c.delivery, outbox.c.attempt)
        )
        for delivery, attempt in connection.execute(parked).all():
            _record(connection, delivery, attempt, row, at)


def unpark(connection: Connection, delivery: str) -> int:
    """Hands a delivery's parked rows back to the relay; returns how many."""
    chosen = (outbox.c.delivery == delivery, outbox.c.shard < 0)
    return connection.execute(update(outbox).where(*chosen).values(shard=-1 - outbox.c.shard)).rowcount


def oldest_pending(connection: Connection) -> datetime | None:
    """When the oldest row that waits for the bus was written; None when nothing waits."""
    statement = select(outbox.c.created_at).where(outbox.c.shard >= 0).order_by(outbox.c.id).limit(1)
    return connection.scalar(statement)


def counts(connection: Connection) -> Counts:
    """Rows and commands waiting, parked and published."""
    return Counts(
        *_count(connection, outbox, outbox.c.shard >= 0),
        *_count(connection, outbox, outbox.c.shard < 0),
        *_count(connection, published, true()),
    )


def _within(shards: Collection[int]) -> ColumnElement[bool]:
    """A relay alone holds every shard: a range costs less than a list of 64."""
    first, last = min(shards), max(shards)
    if last - first + 1 == len(shards):
        return outbox.c.shard.between(first, last)
    return outbox.c.shard.in_(shards)


def _fitting(connection: Connection, own: ColumnElement[bool], rows: int, size: int) -> int:
    """How many of the oldest rows have together at most `size` bytes of events, but at least one."""
    lengths = select(func.length(outbox.c.data)).where(own).order_by(outbox.c.id).limit(rows)
    sums = list(accumulate(connection.scalars(lengths)))
    return max(1, bisect_right(sums, size))


def _record(connection: Connection, delivery: str, attempt: int, rejected: Rejected, at: datetime) -> None:
    failure = Failure("processing", rejected.code, rejected.message, NEXT_STEP, facts=rejected.facts)
    values = {
        "attempt": attempt,
        "at": at,
        "class": failure.cls,
        "code": failure.code,
        "data": orjson.dumps(failure.to_json()).decode(),
    }
    known = ("tenant", "provider", "connection", "feed")
    source = select(
        deliveries.c.id,
        *(deliveries.c[name] for name in known),
        *(literal(value, failures.c[name].type) for name, value in values.items()),
    ).where(deliveries.c.id == delivery)
    connection.execute(insert(failures).from_select(["delivery", *known, *values], source))


def _count(connection: Connection, table: Table, of: ColumnElement[bool]) -> tuple[int, int]:
    statement = select(func.count().label("rows"), func.sum(table.c.count).label("commands")).where(of)
    row = connection.execute(statement.select_from(table)).one()
    return row.rows, int(row.commands or 0)
