"""The archive's side of the database: which deliveries are to be packed, segments, trimmed and erased rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from stores import counters, payloads
from stores.causes import About
from stores.deliveries import StoredDelivery
from stores.tables import counters as counters_table
from stores.tables import deliveries, failures, in_flight, micros, moment, outcomes, segments

SegmentState = Literal["writing", "written", "trimmed"]
PROGRESS = "_archived_before"
"""The counter of the day up to which everything is packed."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of the archive. `day` is YYYY-MM-DD; `spare_key` an object that is to be removed, or "".

    writing   its object may be there; no row depends on it
    written   its object is there and was verified; its rows are being trimmed
    trimmed   its object holds the payloads that their rows no longer do
    """

    id: str
    provider: str
    day: str
    state: SegmentState
    key: str
    spare_key: str
    rows: int
    bytes: int
    sha256: str
    first_id: str
    last_id: str
    created_at: datetime


def packed_before(connection: Connection) -> datetime | None:
    """Every delivery received before then has been looked at."""
    found = counters.value(connection, PROGRESS)
    return moment(found) if found else None


def note_packed(connection: Connection, before: datetime) -> None:
    c = counters_table.c
    counters.add(connection, PROGRESS, 0)
    connection.execute(update(counters_table).where(c.name == PROGRESS).values(value=micros(before)))


def oldest(connection: Connection, since: datetime | None, before: datetime) -> datetime | None:
    """When the oldest delivery of a span was received; None where there is none."""
    d = deliveries.c
    statement = select(d.received_at).where(d.received_at < before).order_by(d.received_at).limit(1)
    return connection.scalar(statement if since is None else statement.where(d.received_at >= since))


def providers(connection: Connection, day: datetime) -> list[str]:
    """The providers of which deliveries of a day can be packed."""
    return sorted(connection.scalars(select(deliveries.c.provider).where(_packable(day)).distinct()))


def packable(
    connection: Connection, day: datetime, provider: str, after: tuple[datetime, str] | None
) -> Iterator[StoredDelivery]:
    """A provider's deliveries of a day that can be packed, in order of arrival; `after`: those behind this one."""
    d = deliveries.c
    statement = select(deliveries).where(_packable(day), d.provider == provider)
    if after is not None:
        at, id = after
        statement = statement.where(or_(d.received_at > at, and_(d.received_at == at, d.id > id)))
    ordered = statement.order_by(d.received_at, d.id).execution_options(yield_per=100)
    for row in connection.execute(ordered):
        yield StoredDelivery(**row._mapping)


def _packable(day: datetime) -> ColumnElement[bool]:
    """Finished deliveries whose payload is not packed yet. Quarantined ones may still be verified or evicted."""
    d = deliveries.c
    return and_(
        d.received_at >= day,
        d.received_at < day + timedelta(days=1),
        d.quarantined == "",
        or_(d.place == "", d.place.startswith(payloads.OBJECT)),
        d.id.not_in(select(in_flight.c.delivery)),
    )


def trim(connection: Connection, segment: str, ids: Collection[str]) -> int:
    """Empties rows whose payload a segment holds; returns how many."""
    d = deliveries.c
    held = and_(d.id.in_(ids), or_(d.place == "", d.place.startswith(payloads.OBJECT)))
    emptied = {"headers": b"[]", "sealed": b"", "body": b"", "place": payloads.segment_place(segment)}
    return connection.execute(update(deliveries).where(held).values(emptied)).rowcount


def places(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """Where the payloads of deliveries stand; those that there are."""
    d = deliveries.c
    return {row[0]: row[1] for row in connection.execute(select(d.id, d.place).where(d.id.in_(ids)))}


def erase(connection: Connection, id: str) -> None:
    """Removes from a delivery's rows the payload and what quotes it; what was counted by it stays."""
    d, f = deliveries.c, failures.c
    url = connection.scalar(select(d.url).where(d.id == id)) or ""
    connection.execute(
        update(deliveries)
        .where(d.id == id)
        .values(url=url.partition("?")[0], headers=b"[]", sealed=b"", body=b"", peer="", place=payloads.ERASED)
    )
    connection.execute(update(outcomes).where(outcomes.c.delivery == id).values(results=b"[]"))
    for number, data in connection.execute(select(f.id, f.data).where(f.delivery == id)).all():
        known = orjson.loads(data) if isinstance(data, str | bytes) else data
        scrubbed = {**known, "message": "(erased)", "path": "", "facts": {}}
        connection.execute(update(failures).where(f.id == number).values(data=scrubbed, **About()._asdict()))


# ---- segments ----


def add_segment(connection: Connection, id: str, provider: str, day: str, key: str, at: datetime) -> None:
    """Says that an object is going to be written."""
    connection.execute(
        insert(segments).values(
            id=id, provider=provider, day=day, state="writing", key=key, spare_key="", rows=0, bytes=0, sha256="",
            first_id="", last_id="", created_at=at,
        )
    )  # fmt: skip


def change_segment(connection: Connection, id: str, **values: Any) -> None:
    connection.execute(update(segments).where(segments.c.id == id).values(**values))


def drop_segment(connection: Connection, id: str) -> None:
    connection.execute(delete(segments).where(segments.c.id == id))


def unfinished(connection: Connection) -> list[Segment]:
    """Segments that a run or an erasure has left in the middle."""
    s = segments.c
    return _segments(connection, or_(s.state != "trimmed", s.spare_key != ""))


def segment(connection: Connection, id: str) -> Segment | None:
    return next(iter(_segments(connection, segments.c.id == id)), None)


def listed(connection: Connection, provider: str | None = None) -> list[Segment]:
    """Segments in order of day and provider."""
    s = segments.c
    return _segments(connection, s.provider == provider if provider else s.id.is_not(None))


def _segments(connection: Connection, which: ColumnElement[bool]) -> list[Segment]:
    s = segments.c
    statement = select(segments).where(which).order_by(s.day, s.provider, s.first_id, s.id)
    return [Segment(*row) for row in connection.execute(statement)]
