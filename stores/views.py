"""The views in SQL: what each entity is now, what was applied, and how far the projection has read."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row, delete, insert, or_, select, true, tuple_, update

from engine.views import Entity, EntityKey, Event
from engine.views.entities import packed_marks, unpacked_marks
from stores.database import put_rows
from stores.outbox import ROW_COMMANDS, pack
from stores.shards import shard_of
from stores.tables import applied, copies, entities, outbox, projections

NAME = "views"
CHUNK = 200
_KEY = (entities.c.view, entities.c.tenant, entities.c.owner, entities.c.kind, entities.c.id)


class Moved(Exception):
    """Another projector, or an operator, has moved a partition's offset: what was worked out is void."""


class Owner(NamedTuple):
    """A store or merchant in one of the views."""

    view: str
    tenant: str
    owner: str


class Mark(NamedTuple):
    """A command that was applied: its commandkey, id, position, and what came of it."""

    commandkey: str
    id: str
    position: int
    result: str


class Advance(NamedTuple):
    """A partition's offset, from where it stood to where it stands."""

    partition: int
    before: int
    after: int


# ---- what the projection reads and writes ----


def load(connection: Connection, keys: Collection[EntityKey]) -> dict[EntityKey, Entity]:
    """The entities that exist among these."""
    found: dict[EntityKey, Entity] = {}
    for chunk in _chunks(sorted(set(keys))):
        for row in connection.execute(select(entities).where(tuple_(*_KEY).in_(chunk))):
            entity = _entity(row)
            found[entity.key] = entity
    return found


def marks_of(connection: Connection, commandkeys: Collection[str]) -> dict[str, tuple[int, set[str]]]:
    """(position, ids that were applied) by commandkey."""
    found: dict[str, tuple[int, set[str]]] = {}
    for chunk in _chunks(sorted(set(commandkeys))):
        rows = select(applied.c.commandkey, applied.c.id, applied.c.position).where(applied.c.commandkey.in_(chunk))
        for commandkey, id, position in connection.execute(rows):
            found.setdefault(commandkey, (position, set()))[1].add(id)
    return found


def result_of(connection: Connection, id: str, commandkey: str) -> str | None:
    """What came of a command: applied, unchanged, stale or unused; None where it was not taken in."""
    mine = (applied.c.commandkey == commandkey, applied.c.id == id)
    return connection.scalar(select(applied.c.result).where(*mine))


def offsets(connection: Connection, *, lock: bool = False, name: str = NAME) -> dict[int, int]:
    """The offset that comes next of a reader of the bus, by partition.

    `lock` keeps them there until the end of the transaction.
    """
    rows = select(projections.c.partition, projections.c.next).where(projections.c.name == name)
    rows = rows.with_for_update() if lock else rows
    return {row.partition: row.next for row in connection.execute(rows)}


def advance(connection: Connection, moves: Iterable[Advance], *, name: str = NAME) -> None:
    """Moves offsets that stand where they are believed to. Raises Moved."""
    for partition, before, after in moves:
        mine = (projections.c.name == name, projections.c.partition == partition)
        moved = connection.execute(update(projections).where(*mine, projections.c.next == before).values(next=after))
        if moved.rowcount:
            continue
        if before or connection.scalar(select(projections.c.next).where(*mine)) is not None:
            raise Moved(f"the offset of partition {partition} is no longer {before}")
        connection.execute(insert(projections).values(name=name, partition=partition, next=after))


def place(connection: Connection, offsets: Mapping[int, int], *, name: str) -> None:
    """Has a reader of the bus go on from these offsets, wherever it was."""
    connection.execute(delete(projections).where(projections.c.name == name))
    rows = [{"name": name, "partition": partition, "next": next} for partition, next in sorted(offsets.items())]
    if rows:
        connection.execute(insert(projections), rows)


def rewind(connection: Connection) -> int:
    """Has the projection read everything again; returns how many partitions it has."""
    return connection.execute(update(projections).where(projections.c.name == NAME).values(next=0)).rowcount


def save(connection: Connection, changed: Collection[Entity], marks: Sequence[Mark]) -> None:
    """Writes entities and what was applied."""
    if changed:
        put_rows(connection, entities, [_row(entity) for entity in changed])
    if marks:
        put_rows(connection, applied, [mark._asdict() for mark in marks])


def put_events(connection: Connection, events: Sequence[tuple[str, Event]], at: datetime) -> None:
    """Hands (delivery, event) pairs to the relay: a row for each topic and Kafka key, in order."""
    grouped: dict[tuple[str, str], list[tuple[str, Event]]] = defaultdict(list)
    for delivery, event in events:
        grouped[event.topic, event.kafka_key].append((delivery, event))
    rows = [
        {
            "delivery": own[start][0],
            "attempt": 0,
            "shard": shard_of(kafka_key),
            "kafka_key": kafka_key,
            "count": len(part),
            "ids": [event.id for _, event in part],
            "data": pack([event.value for _, event in part]),
            "created_at": at,
            "topic": topic,
        }
        for (topic, kafka_key), own in grouped.items()
        for start in range(0, len(own), ROW_COMMANDS)
        for part in (own[start : start + ROW_COMMANDS],)
    ]
    if rows:
        connection.execute(insert(outbox), rows)


def replace(connection: Connection, source: Connection) -> None:
    """Puts the views of another database in the place of these; the outbox stays as it is."""
    for table in (entities, applied, projections):
        connection.execute(delete(table))
        rows = source.execution_options(yield_per=5000).execute(select(table))
        for part in rows.mappings().partitions():
            connection.execute(insert(table), [dict(row) for row in part])
    # Versions were counted anew: a copy that was set by those of before is void.
    connection.execute(update(copies).values(epoch=copies.c.epoch + 1))


def view_hash(connection: Connection) -> str:
    """SHA-256 over everything that readers see of the views, whatever the positions of commands were."""
    digest = hashlib.sha256()
    for row in connection.execution_options(yield_per=5000).execute(select(entities).order_by(*_KEY)):
        entity = _entity(row)
        fields = {name: value for name, value in entity.fields.items() if name != "stock"}
        shown = [*entity.key, entity.merchant_id, entity.store_id, fields, entity.seen, entity.changed_at]
        digest.update(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS) + b"\n")
    return digest.hexdigest()


# ---- what readers ask ----


def of_owner(
    connection: Connection,
    view: str,
    tenant: str,
    owner: str,
    kinds: Collection[str] = (),
    *,
    after: tuple[str, str] = ("", ""),
    limit: int | None = None,
) -> list[Entity]:
    """The entities of a store or merchant by kind and id, from behind `after` on."""
    statement = (
        select(entities)
        .where(entities.c.view == view, entities.c.owner == owner, entities.c.tenant == tenant)
        .order_by(entities.c.kind, entities.c.id)
    )
    if kinds:
        statement = statement.where(entities.c.kind.in_(kinds))
    if any(after):
        statement = statement.where(tuple_(entities.c.kind, entities.c.id) > tuple_(*after))
    return [_entity(row) for row in connection.execute(statement.limit(limit))]


def by_id(connection: Connection, id: str, kinds: Collection[str], tenant: str = "") -> list[Entity]:
    """Every entity of this id and one of these kinds, in every view and for every owner."""
    statement = select(entities).where(entities.c.id == id, entities.c.kind.in_(kinds)).order_by(*_KEY)
    if tenant:
        statement = statement.where(entities.c.tenant == tenant)
    return [_entity(row) for row in connection.execute(statement)]


def page_of(
    connection: Connection,
    tenant: str,
    owner: str,
    merchant: str,
    *,
    skus: Collection[str] | None,
    ids: Collection[str] | None,
    offset: int,
    limit: int,
) -> list[Entity]:
    """Items of an owner that were told of and are not retired, by id; of one merchant alone unless it is "".

    With `skus` and `ids` only items that have one of them, or a variant that has.
    """
    e = entities.c
    mine = [e.view == "catalogue", e.owner == owner, e.tenant == tenant]
    if merchant:
        mine.append(e.merchant_id == merchant)
    if skus is not None or ids is not None:
        wanted = or_(e.sku.in_(sorted(set(skus or ()) - {""})), e.id.in_(sorted(ids or ())))
        found = connection.execute(select(entities).where(*mine, e.kind.in_(("item", "variant")), wanted))
        items = {one.key.id if one.key.kind == "item" else one.fields.get("item_id") for one in map(_entity, found)}
        mine.append(e.id.in_(sorted(item for item in items if item)))
    statement = (
        select(entities)
        .where(*mine, e.kind == "item", e.seen == true(), ~e.retired)
        .order_by(e.id)
        .offset(offset)
        .limit(limit)
    )
    return [_entity(row) for row in connection.execute(statement)]


def variants_of(connection: Connection, tenant: str, owner: str, items: Collection[str]) -> list[Entity]:
    """The variants of these items that were told of and are not retired."""
    e = entities.c
    mine = (e.view == "catalogue", e.owner == owner, e.tenant == tenant, e.kind == "variant")
    found: list[Entity] = []
    for chunk in _chunks(sorted(items)):
        statement = select(entities).where(*mine, e.item.in_(chunk), e.seen == true(), ~e.retired).order_by(e.id)
        found += [_entity(row) for row in connection.execute(statement)]
    return found


def catalogue(connection: Connection, kinds: Collection[str]) -> Iterator[Entity]:
    """Everything of these kinds that was told of and is not retired, a few at a time."""
    e = entities.c
    statement = select(entities).where(e.view == "catalogue", e.kind.in_(kinds), e.seen == true(), ~e.retired)
    for row in connection.execution_options(yield_per=2000).execute(statement):
        yield _entity(row)


def owners(connection: Connection) -> list[Owner]:
    """Every store and merchant in each view that knows it."""
    columns = (entities.c.view, entities.c.tenant, entities.c.owner)
    return [Owner(*row) for row in connection.execute(select(*columns).distinct().order_by(*columns))]


def tenants_of(connection: Connection, owner: str) -> list[str]:
    """The tenants whose views know a store or merchant of this id."""
    statement = select(entities.c.tenant).where(
        entities.c.view.in_(("catalogue", "availability")), entities.c.owner == owner
    )
    return sorted(connection.scalars(statement.distinct()))


def _entity(row: Row[Any]) -> Entity:
    fields, marks, sources = orjson.loads(row.data)
    key = EntityKey(row.view, row.tenant, row.owner, row.kind, row.id)
    return Entity(
        key,
        row.merchant_id,
        row.store_id,
        fields,
        unpacked_marks(marks, fields),
        {source: tuple(version) for source, version in sources.items()},
        bool(row.seen),
        row.changed_at,
        row.version,
    )


def _row(entity: Entity) -> dict[str, Any]:
    return {
        **entity.key._asdict(),
        "merchant_id": entity.merchant_id,
        "store_id": entity.store_id,
        "data": orjson.dumps([entity.fields, packed_marks(entity.marks), entity.sources]),
        "sku": entity.fields.get("sku") or "",
        "item": (entity.fields.get("item_id") or "") if entity.key.kind == "variant" else "",
        "retired": entity.retired,
        "seen": entity.seen,
        "changed_at": entity.changed_at,
        "version": entity.version,
    }


def _chunks(values: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
