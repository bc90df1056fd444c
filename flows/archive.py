"""Packs older raw payloads into Parquet segments by provider and day, verifies them, and trims their rows.

One process at a time, under a lease with fencing. A segment goes through three states, so that a run may end
at any point and the next one goes on:

    writing   noted before its object is written: what is found in this state is removed, and packed again
    written   read back and equal: its rows are trimmed in batches; what is found in this state is trimmed on
    trimmed   done

An erasure writes a segment anew under another key; the key that is to go stands in `spare_key` until it is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection

from flows.relay import Runs
from flows.rounds import Log
from stores import archive, audit, deliveries, leases, payloads, segments, shadows
from stores.archive import Segment
from stores.deliveries import StoredDelivery
from stores.objects import ObjectMissing, Objects
from stores.payloads import PayloadLost
from stores.segments import Archived, SegmentUnreadable
from stores.tables import in_flight

T = TypeVar("T")
LEASE: Final = "archive"
LEASE_TIME: Final = timedelta(minutes=5)
DAY: Final = timedelta(days=1)


class ArchiveBusy(Exception):
    """Another process works on the archive."""


class NotErasable(Exception):
    """The delivery cannot be erased; the text says why."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much goes into one segment, and how many rows one transaction trims."""

    rows: int = 20_000
    bytes: int = 64 << 20
    trim: int = 200


class Packed(NamedTuple):
    """A segment that is done: how many deliveries, and the bytes of its file."""

    segment: str
    provider: str
    day: str
    rows: int
    bytes: int


class Verified(NamedTuple):
    """A segment that was read whole; `problem` is "" where it is what it should be."""

    segment: Segment
    problem: str


class Archive:
    """The archive of one database and object store. `read`, `write` as for Relay; `owner` names who works on it.

    `new_id` makes names of segments that no other has.
    """

    def __init__(
        self,
        *,
        read: Runs,
        write: Runs,
        objects: Objects,
        owner: str,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        log: Log,
        size: Size | None = None,
    ) -> None:
        self._read, self._write, self._objects = read, write, objects
        self._owner, self._clock, self._new_id, self._log = owner, clock, new_id, log
        self._size = size or Size()
        self._fence: int | None = None

    # ---- packing ----

    def run(self, before: datetime, *, rescan: bool = False) -> Iterator[Packed]:
        """Packs the deliveries of every whole day (UTC) that ended before then, segment by segment.

        It begins where the last run ended, or with `rescan` at the oldest delivery. Raises ArchiveBusy,
        ObjectsAway and SegmentUnreadable; what was yielded stands.
        """
        self._enter()
        try:
            self._resume()
            yield from self._days(_midnight(before), rescan)
        finally:
            self._leave()

    def _days(self, end: datetime, rescan: bool) -> Iterator[Packed]:
        since = None if rescan else self._read(archive.packed_before)
        while (at := self._read(partial(archive.oldest, since=since, before=end))) is not None:
            day = _midnight(at)
            for provider in self._read(partial(archive.providers, day=day)):
                yield from self._pack(day, provider)
            self._sweep(day)
            since = day + DAY
            self._fenced(partial(archive.note_packed, before=day + DAY))

    def _pack(self, day: datetime, provider: str) -> Iterator[Packed]:
        after: tuple[datetime, str] | None = None
        while found := self._read(partial(self._chunk, day=day, provider=provider, after=after)):
            after = found[-1].received_at, found[-1].id
            rows = [row for row in map(self._archived, found) if row is not None]
            if rows:
                yield self._write_segment(day, provider, rows)

    def _chunk(
        self, connection: Connection, day: datetime, provider: str, after: tuple[datetime, str] | None
    ) -> list[StoredDelivery]:
        """What goes into the next segment. Bodies that are objects count by what a row may not hold."""
        chosen: list[StoredDelivery] = []
        size = 0
        for stored in archive.packable(connection, day, provider, after):
            chosen.append(stored)
            size += len(stored.body) + len(stored.headers) + ((2 << 20) if stored.place else 0)
            if len(chosen) >= self._size.rows or size >= self._size.bytes:
                break
        return chosen

    def _archived(self, stored: StoredDelivery) -> Archived | None:
        """What goes into the segment; None where the body cannot be had: the row is then left as it is."""
        try:
            body = payloads.body_of(self._objects, stored.place) if stored.place else stored.body
        except PayloadLost as lost:
            self._log.warning("not_archived", delivery=stored.id, code=lost.code, reason=str(lost))
            return None
        return Archived(
            stored.id, stored.received_at, stored.tenant, stored.provider, stored.connection, stored.feed,
            stored.method, stored.url, stored.headers, stored.sealed, body, stored.body_sealed, stored.peer,
            stored.spec_hash, payloads.object_key(stored.place),
        )  # fmt: skip

    def _write_segment(self, day: datetime, provider: str, rows: Sequence[Archived]) -> Packed:
        id, text = self._new_id(), f"{day:%Y-%m-%d}"
        key = _key(provider, text, id)
        self._fenced(lambda connection: archive.add_segment(connection, id, provider, text, key, self._clock()))
        written = self._put(key, rows)
        self._fenced(lambda connection: archive.change_segment(connection, id, state="written", **written))
        self._trim(id, [(row.id, row.object) for row in rows])
        return Packed(id, provider, text, len(rows), int(written["bytes"]))

    def _put(self, key: str, rows: Sequence[Archived]) -> dict[str, Any]:
        """Writes a file and reads it back; what the segment's row says of it. Raises SegmentUnreadable."""
        data = segments.encode(rows)
        digest = hashlib.sha256(data).hexdigest()
        self._objects.put(key, data)
        back = self._objects.get(key)
        if hashlib.sha256(back).hexdigest() != digest or list(segments.decode(back)) != sorted(rows):
            raise SegmentUnreadable(f"{key} does not read as it was written")
        ids = [row.id for row in rows]
        bounds = {"first_id": min(ids, default=""), "last_id": max(ids, default="")}
        return {"rows": len(rows), "bytes": len(data), "sha256": digest, **bounds}

    def _trim(self, segment: str, ids: Sequence[tuple[str, str]]) -> None:
        for start in range(0, len(ids), self._size.trim):
            chosen = [id for id, _ in ids[start : start + self._size.trim]]
            self._fenced(partial(archive.trim, segment=segment, ids=chosen))
        for _, key in ids:
            if key:
                self._objects.delete(key)
        self._fenced(lambda connection: archive.change_segment(connection, segment, state="trimmed"))

    def _sweep(self, day: datetime) -> None:
        """Removes large bodies that no row speaks of: their process ended before the row was written."""
        keys = list(self._objects.keys(payloads.body_prefix(day)))
        for start in range(0, len(keys), 500):
            chosen = {key.rsplit("/", 1)[-1]: key for key in keys[start : start + 500]}
            known = self._read(partial(archive.places, ids=list(chosen)))
            for id, key in chosen.items():
                if payloads.object_key(known.get(id, "")) != key:
                    self._objects.delete(key)

    def _resume(self) -> None:
        """Finishes, or takes back, what a run or an erasure left in the middle."""
        for one in self._read(archive.unfinished):
            self._log.info("segment_resumed", segment=one.id, state=one.state)
            if one.state == "writing":
                self._objects.delete(one.key)
                self._fenced(partial(archive.drop_segment, id=one.id))
                continue
            if one.state == "written":
                self._trim(one.id, segments.ids(self._checked(one)))
            self._drop_spare(one.id, one.spare_key)

    def _drop_spare(self, segment: str, key: str) -> None:
        if key:
            self._objects.delete(key)
            self._fenced(lambda connection: archive.change_segment(connection, segment, spare_key=""))

    # ---- verifying ----

    def verify(self, provider: str | None = None) -> Iterator[Verified]:
        """Reads every segment whole and compares it with what was written. Raises ObjectsAway."""
        for one in self._read(lambda connection: archive.listed(connection, provider)):
            yield Verified(one, "" if one.state == "writing" else self._problem(one))

    def _problem(self, one: Segment) -> str:
        try:
            count = sum(1 for _ in segments.decode(self._checked(one)))
        except SegmentUnreadable as error:
            return str(error)
        return "" if count == one.rows else f"{count} rows instead of {one.rows}"

    def _checked(self, one: Segment) -> bytes:
        """The file of a segment. Raises SegmentUnreadable where it is not the one that was written."""
        try:
            data = self._objects.get(one.key)
        except ObjectMissing:
            raise SegmentUnreadable(f"{one.key} is gone") from None
        if hashlib.sha256(data).hexdigest() != one.sha256:
            raise SegmentUnreadable(f"{one.key} is not the file that was written")
        return data

    # ---- erasing ----

    def erase(self, id: str, who: str, why: str) -> bool:
        """Erases one delivery's payload from row, object and segment, and audits it. False: it was erased before.

        Raises NotErasable, ArchiveBusy, ObjectsAway and SegmentUnreadable.
        """
        self._enter()
        try:
            self._resume()
            stored = self._read(lambda connection: deliveries.get(connection, id))
            flying = self._read(
                lambda connection: connection.execute(in_flight.select().where(in_flight.c.delivery == id)).first()
            )
            if stored is None:
                raise NotErasable(f"There is no delivery {id}.")
            if flying is not None:
                raise NotErasable(f"The delivery {id} is in flight: erase it when it has an outcome.")
            if stored.place == payloads.ERASED:
                return False
            self._erase(stored, who, why)
            return True
        finally:
            self._leave()

    def _erase(self, stored: StoredDelivery, who: str, why: str) -> None:
        at = self._clock()

        def recorded(connection: Connection) -> None:
            archive.erase(connection, stored.id)
            shadows.erase(connection, stored.provider)
            audit.append(connection, at, who, "delivery.erase", stored.id, why)

        if stored.place.startswith(payloads.SEGMENT):
            self._erase_from_segment(stored, recorded)
            return
        # The object goes first: should this end here, erasing again finds the row and nothing else.
        if key := payloads.object_key(stored.place):
            self._objects.delete(key)
        self._fenced(recorded)

    def _erase_from_segment(self, stored: StoredDelivery, recorded: Callable[[Connection], None]) -> None:
        id = stored.place.removeprefix(payloads.SEGMENT)
        one = self._read(lambda connection: archive.segment(connection, id))
        if one is None:
            self._fenced(recorded)
            return
        rest = [row for row in segments.decode(self._checked(one)) if row.id != stored.id]
        key = _key(one.provider, one.day, self._new_id())
        self._fenced(lambda connection: archive.change_segment(connection, id, spare_key=key))
        written = self._put(key, rest)

        def replaced(connection: Connection) -> None:
            archive.change_segment(connection, id, key=key, spare_key=one.key, **written)
            recorded(connection)

        self._fenced(replaced)
        self._drop_spare(id, one.key)

    # ---- the lease ----

    def _enter(self) -> None:
        now = self._clock()
        self._fence = self._write(lambda connection: leases.take(connection, LEASE, self._owner, now, now + LEASE_TIME))
        if self._fence is None:
            raise ArchiveBusy(
                "Another process works on the archive, or was killed within the last 5 minutes. Try again later."
            )

    def _leave(self) -> None:
        self._fence = None
        self._write(lambda connection: leases.release(connection, LEASE, self._owner))

    def _fenced(self, job: Callable[[Connection], T]) -> T:
        """A transaction that is made only while the lease stands, and prolongs it. Raises ArchiveBusy."""
        now = self._clock()

        def held(connection: Connection) -> T:
            if leases.take(connection, LEASE, self._owner, now, now + LEASE_TIME) != self._fence:
                raise ArchiveBusy("Another process has taken over the archive.")
            return job(connection)

        return self._write(held)


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _key(provider: str, day: str, id: str) -> str:
    return f"raw/{provider}/{day}/{id}.parquet"
