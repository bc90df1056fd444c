"""Stored deliveries for a backtest: which there are, and their payloads wherever those stand."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, Select, func, select

from stores import payloads, segments
from stores.deliveries import StoredDelivery
from stores.objects import ObjectMissing, Objects
from stores.payloads import PayloadCorrupt, PayloadLost, PayloadMissing
from stores.segments import Archived, SegmentUnreadable
from stores.tables import deliveries
from stores.tables import segments as segments_table

_PAGE = 10_000
_AT_ONCE = 500


def _wanted(
    provider: str, since: datetime | None, until: datetime | None, feed: str | None, tenant: str | None
) -> list[object]:
    d = deliveries.c
    conditions: list[object] = [d.provider == provider, d.quarantined == ""]
    for column, value in ((d.feed, feed), (d.tenant, tenant)):
        if value is not None:
            conditions.append(column == value)
    if since is not None:
        conditions.append(d.received_at >= since)
    if until is not None:
        conditions.append(d.received_at < until)
    return conditions


def count(
    connection: Connection, provider: str, since: datetime | None, until: datetime | None, feed: str | None,
    tenant: str | None,
) -> int:  # fmt: skip
    """How many deliveries there are; quarantined ones do not count."""
    statement = select(func.count()).select_from(deliveries)
    return connection.scalar(statement.where(*_wanted(provider, since, until, feed, tenant))) or 0  # type: ignore[arg-type]


def ids(
    connection: Connection, provider: str, since: datetime | None, until: datetime | None, feed: str | None,
    tenant: str | None, sample: int = 1,
) -> Iterator[str]:  # fmt: skip
    """Their ids in order of id, page by page; with a sample one of so many, always the same ones."""
    conditions = _wanted(provider, since, until, feed, tenant)
    after = ""
    while True:
        page: Select[tuple[str]] = select(deliveries.c.id).where(deliveries.c.id > after, *conditions)  # type: ignore[arg-type]
        found = [row.id for row in connection.execute(page.order_by(deliveries.c.id).limit(_PAGE))]
        if not found:
            return
        after = found[-1]
        yield from (one for one in found if sample <= 1 or int(one[-8:], 16) % sample == 0)


def payloads_of(
    connection: Connection, objects: Objects, wanted: Sequence[str]
) -> Iterator[StoredDelivery | tuple[str, PayloadLost]]:
    """The deliveries with their payloads, in order of id; (id, why) of one whose payload is lost.

    A segment is read once for all of its deliveries. Raises ObjectsAway.
    """
    read: dict[str, dict[str, Archived] | PayloadLost] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        chosen = list(wanted[start : start + _AT_ONCE])
        rows = connection.execute(select(deliveries).where(deliveries.c.id.in_(chosen)).order_by(deliveries.c.id))
        for row in rows.all():
            stored = StoredDelivery(**row._mapping)
            try:
                yield _whole(connection, objects, stored, set(chosen), read)
            except PayloadLost as lost:
                yield stored.id, lost


def _whole(
    connection: Connection,
    objects: Objects,
    stored: StoredDelivery,
    chosen: set[str],
    read: dict[str, dict[str, Archived] | PayloadLost],
) -> StoredDelivery:
    if not stored.place.startswith(payloads.SEGMENT):
        return payloads.whole(connection, objects, stored)
    if stored.place not in read:
        read[stored.place] = _segment(connection, objects, stored.place.removeprefix(payloads.SEGMENT), chosen)
    found = read[stored.place]
    if isinstance(found, PayloadLost):
        raise found
    row = found.get(stored.id)
    if row is None:
        raise PayloadMissing("The segment does not hold the delivery.")
    return dataclasses.replace(stored, url=row.url, headers=row.headers, sealed=row.sealed, body=row.body)


def _segment(connection: Connection, objects: Objects, id: str, chosen: set[str]) -> dict[str, Archived] | PayloadLost:
    key = connection.scalar(select(segments_table.c.key).where(segments_table.c.id == id))
    if key is None:
        return PayloadMissing(f"The archive has no segment {id}.")
    try:
        return {row.id: row for row in segments.some(objects.reader(key), min(chosen), max(chosen))}
    except ObjectMissing:
        return PayloadMissing(f"The segment {key} is gone.")
    except SegmentUnreadable as error:
        return PayloadCorrupt(f"The segment {key} cannot be read: {error}")
