"""Commands that wait for the bus: one row, or a few, for each delivery and Kafka key.

A row leaves for `published` when the bus has every command of it. A row that the bus will never take is
parked: it stays, under the shard -1 - shard that no relay leases, until an operator releases it.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import accumulate, chain, compress
from typing import Any, NamedTuple, Protocol

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Table,
    Text,
    and_,
    any_,
    case,
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
from engine.messages import EntityVersion
from stores.records import Group
from stores.tables import deliveries, failures, moment, outbox, published

COMMANDS = "catalog.commands"
"""The topic of commands; rows of other topics are events, which the ledger does not count."""

SEPARATOR = b",\n"
ROW_COMMANDS = 500
EVENT_BYTES = 700
"""What an event of a compressed row takes, about."""
LONG = 32 << 10
"""Rows from so many bytes on are compressed: envelopes repeat themselves some tenfold."""
CHUNK = 10_000
PAGE = 200
# The text of `ids` and the number of a time are read as they are: to make more of them costs as much as the row.
COLUMNS = (
    outbox.c.id,
    outbox.c.delivery,
    outbox.c.attempt,
    outbox.c.shard,
    outbox.c.kafka_key,
    outbox.c.count,
    type_coerce(outbox.c.ids, Text),
    outbox.c.data,
    type_coerce(outbox.c.created_at, BigInteger),
    outbox.c.topic,
)
NEXT_STEP = "Mend the cause, then run: tiffin delivery release ID."


class Pending(NamedTuple):
    """One outbox row. `ids` and `events` have the same length and order; `written` is in microseconds since 1970."""

    id: int
    delivery: str
    attempt: int
    shard: int
    kafka_key: str
    ids: list[str]
    events: list[bytes]
    written: int
    topic: str = COMMANDS

    @property
    def created_at(self) -> datetime:
        """When the row was written."""
        return moment(self.written)


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


class Command(Protocol):
    """A command as the interpreter makes it."""

    @property
    def id(self) -> str: ...
    @property
    def kafka_key(self) -> str: ...
    @property
    def event(self) -> bytes: ...
    @property
    def version(self) -> EntityVersion | None: ...


def grouped(commands: Sequence[Command]) -> tuple[Group, ...]:
    """The outbox rows of a delivery's commands: one for each Kafka key, and more where there are many."""
    if not commands:
        return ()
    by_key: dict[str, list[Command]] = {}
    for command in commands:
        by_key.setdefault(command.kafka_key, []).append(command)
    return tuple(
        [
            _group(key, own[start : start + ROW_COMMANDS])
            for key, own in by_key.items()
            for start in range(0, len(own), ROW_COMMANDS)
        ]
    )


def _group(kafka_key: str, commands: Sequence[Command]) -> Group:
    versions = tuple([command.version for command in commands])
    return Group(
        kafka_key,
        len(commands),
        orjson.dumps([command.id for command in commands]).decode(),
        pack([command.event for command in commands]),
        versions if any(versions) else None,
    )


def ids_text(groups: Sequence[Group]) -> str:
    """The ids of all groups as one JSON list."""
    if len(groups) == 1:
        return groups[0].ids
    return f"[{','.join([group.ids[1:-1] for group in groups])}]"


def picked(group: Group, wanted: Sequence[bool]) -> Group:
    """A group with the commands that are wanted alone."""
    ids, events = orjson.loads(group.ids), unpack(group.data, group.commands)
    versions = group.versions
    return Group(
        group.kafka_key,
        sum(wanted),
        orjson.dumps(list(compress(ids, wanted))).decode(),
        pack(list(compress(events, wanted))),
        None if versions is None else tuple(compress(versions, wanted)),
    )


def pack(events: Sequence[bytes]) -> bytes:
    """The JSON array of a row's events, each a JSON object without raw line ends; a long one compressed.

    JSON writes a line end inside a text as an escape, so the line ends between events tell them apart and
    `unpack` need not parse them.
    """
    packed = b"[" + SEPARATOR.join(events) + b"]"
    return packed if len(packed) < LONG else zlib.compress(packed, 1)


def unpack(data: bytes, count: int) -> list[bytes]:
    """The `count` events of a row, byte for byte as packed. Raises ValueError when they are not there."""
    if data[:1] != b"[":
        try:
            data = zlib.decompress(data)
        except zlib.error as error:
            raise ValueError(f"the row cannot be decompressed: {error}") from None
    # A line end alone is found many times sooner than a comma before one.
    events = [event.removesuffix(b",") for event in data[1:-1].split(b"\n")] if count else []
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
    for id, delivery, attempt, shard, kafka_key, count, ids, data, written, topic in _oldest(
        connection, own, rows, size
    ):
        try:
            texts = orjson.loads(ids) if isinstance(ids, str | bytes) else ids
            events = unpack(data, count)
            if len(texts) != count:
                raise ValueError(f"{len(texts)} ids instead of {count}")
        except (ValueError, TypeError):
            unreadable.append(Unreadable(id, delivery, attempt, shard))
            continue
        found.append(Pending(id, delivery, attempt, shard, kafka_key, texts, events, written, topic))
    return found, unreadable


def mark_published(connection: Connection, rows: Sequence[int], at: datetime) -> None:
    """Moves rows to `published`; events of the views leave no trace there. The caller holds the fence of
    their shards in this transaction."""
    kept = ("id", "delivery", "attempt", "shard", "kafka_key", "count", "ids")
    for start in range(0, len(rows), CHUNK):
        chosen = _among(connection, rows[start : start + CHUNK])
        moved = select(*(outbox.c[name] for name in kept), literal(at, published.c.at.type)).where(
            chosen, outbox.c.topic == COMMANDS
        )
        connection.execute(insert(published).from_select([*kept, "at"], moved))
        connection.execute(delete(outbox).where(chosen))


def _among(connection: Connection, rows: Sequence[int]) -> ColumnElement[bool]:
    """Rows by their ids, which go as one value: the statement is the same however many they are."""
    if connection.dialect.name == "sqlite":
        listed = func.json_each(literal(orjson.dumps(rows).decode(), Text)).table_valued("value")
        return outbox.c.id.in_(select(listed.c.value))
    return outbox.c.id == any_(literal(rows, ARRAY(BigInteger)))


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


def parked_deliveries(connection: Connection) -> list[tuple[str, int, int]]:
    """(delivery, rows, commands) of every delivery with parked rows, oldest first."""
    o = outbox.c
    statement = select(o.delivery, func.count(), func.sum(o["count"])).where(o.shard < 0)
    rows = connection.execute(statement.group_by(o.delivery).order_by(func.min(o.id)))
    return [(delivery, rows_, int(commands)) for delivery, rows_, commands in rows]


def oldest_pending(connection: Connection) -> datetime | None:
    """When the oldest row that waits for the bus was written; None when nothing waits."""
    statement = select(outbox.c.created_at).where(outbox.c.shard >= 0).order_by(outbox.c.id).limit(1)
    return connection.scalar(statement)


def waiting(connection: Connection) -> tuple[int, int, int]:
    """Rows and commands that wait for the bus, events of the views among them, and rows that are parked."""
    pending, held = outbox.c.shard >= 0, outbox.c.shard < 0
    rows, commands = _count(connection, outbox, pending)
    return rows, commands, _count(connection, outbox, held)[0]


def counts(connection: Connection) -> Counts:
    """Rows and commands waiting, parked and published."""
    commands = outbox.c.topic == COMMANDS
    return Counts(
        *_count(connection, outbox, and_(commands, outbox.c.shard >= 0)),
        *_count(connection, outbox, and_(commands, outbox.c.shard < 0)),
        *_count(connection, published, true()),
    )


def _within(shards: Collection[int]) -> ColumnElement[bool]:
    """A relay alone holds every shard: a range costs less than a list of 64."""
    first, last = min(shards), max(shards)
    if last - first + 1 == len(shards):
        return outbox.c.shard.between(first, last)
    return outbox.c.shard.in_(shards)


def _oldest(connection: Connection, own: ColumnElement[bool], rows: int, size: int) -> Iterator[Any]:
    """The oldest rows, as COLUMNS. SQLite is read until there are enough; another driver would load what it is
    asked for at once, and is asked how many fit first."""
    embedded = connection.dialect.name == "sqlite"
    limit = rows if embedded else _fitting(connection, own, rows, size)
    found = connection.execute(select(*COLUMNS).where(own).order_by(outbox.c.id).limit(limit))
    room = size
    for number, row in enumerate(chain.from_iterable(found.partitions(PAGE))):
        count, data = row[5], row[7]
        room -= len(data) if data[:1] == b"[" else EVENT_BYTES * count
        if embedded and room < 0 < number:
            found.close()
            return
        yield row


def _fitting(connection: Connection, own: ColumnElement[bool], rows: int, size: int) -> int:
    """How many of the oldest rows have together at most `size` bytes of events, but at least one."""
    plain = func.substr(outbox.c.data, 1, 1) == b"["
    weight = case((plain, func.length(outbox.c.data)), else_=EVENT_BYTES * outbox.c.count)
    sums = list(accumulate(connection.scalars(select(weight).where(own).order_by(outbox.c.id).limit(rows))))
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
