"""Where a delivery's raw payload stands, and how it comes back from there.

`place` of a delivery's row:

    ""                          everything is in the row
    object:<sha256>:<key>       the body is an object; it was too large for a row
    segment:<id>                headers, sealed and body are in a segment of the archive
    erased                      they are nowhere

    PayloadLost
    ├── PayloadErased       an operator erased it
    ├── PayloadMissing      its object or segment is gone
    └── PayloadCorrupt      what stands there is not what was stored
"""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import datetime

from sqlalchemy import Connection, select

from stores import segments
from stores.deliveries import StoredDelivery
from stores.objects import ObjectMissing, Objects
from stores.tables import segments as segments_table

ERASED = "erased"
OBJECT, SEGMENT = "object:", "segment:"


class PayloadLost(Exception):
    """A delivery's payload cannot be had. `code` is stable; the text says why."""

    code = "payload_lost"


class PayloadErased(PayloadLost):
    code = "payload_erased"


class PayloadMissing(PayloadLost):
    code = "payload_missing"


class PayloadCorrupt(PayloadLost):
    code = "payload_corrupt"


def body_key(id: str, received_at: datetime) -> str:
    """The key of a large body's object."""
    return f"{body_prefix(received_at)}{id}"


def body_prefix(day: datetime) -> str:
    """What the keys of a day's large bodies begin with."""
    return f"bodies/{day:%Y/%m/%d}/"


def object_place(key: str, body: bytes) -> str:
    """The place of a body that is the object `key`."""
    return f"{OBJECT}{hashlib.sha256(body).hexdigest()}:{key}"


def object_key(place: str) -> str:
    """The key of the object that holds the body; "" where none does."""
    return place.split(":", 2)[2] if place.startswith(OBJECT) else ""


def segment_place(id: str) -> str:
    return f"{SEGMENT}{id}"


def whole(connection: Connection, objects: Objects, stored: StoredDelivery) -> StoredDelivery:
    """The delivery with its payload. Raises PayloadLost and ObjectsAway."""
    if not stored.place:
        return stored
    if stored.place == ERASED:
        raise PayloadErased("The payload was erased.")
    if stored.place.startswith(OBJECT):
        return dataclasses.replace(stored, body=body_of(objects, stored.place))
    return _from_segment(connection, objects, stored)


def body_of(objects: Objects, place: str) -> bytes:
    """The body that is an object. Raises PayloadLost and ObjectsAway."""
    _, digest, key = place.split(":", 2)
    try:
        body = objects.get(key)
    except ObjectMissing:
        raise PayloadMissing(f"The object {key} is gone.") from None
    if hashlib.sha256(body).hexdigest() != digest:
        raise PayloadCorrupt(f"The object {key} is not what was stored.")
    return body


def _from_segment(connection: Connection, objects: Objects, stored: StoredDelivery) -> StoredDelivery:
    id = stored.place.removeprefix(SEGMENT)
    key = connection.scalar(select(segments_table.c.key).where(segments_table.c.id == id))
    if key is None:
        raise PayloadMissing(f"The archive has no segment {id}.")
    try:
        row = segments.find(objects.reader(key), stored.id)
    except ObjectMissing:
        raise PayloadMissing(f"The segment {key} is gone.") from None
    except segments.SegmentUnreadable as error:
        raise PayloadCorrupt(f"The segment {key} cannot be read: {error}") from None
    if row is None:
        raise PayloadMissing(f"The segment {key} does not hold the delivery.")
    return dataclasses.replace(stored, url=row.url, headers=row.headers, sealed=row.sealed, body=row.body)
