"""Deliveries and conclusions for tests of the group writer, and a transaction that stops where a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection

from engine.messages import EntityVersion, IdempotencyKey, NewMapping, Ref
from stores import outbox
from stores.batches import Flight
from stores.database import Database, open_database
from stores.imports import Job
from stores.records import Committed, Conclusion, Group, RawDelivery
from stores.writer import Entry, GroupWriter, flight_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = 20.0


def raw(id: str) -> RawDelivery:
    return RawDelivery(
        id, NOW, "T", "P", "C", "F", "POST", "http://localhost/", b"[]", b"", b"{}", False, "192.0.2.1", "spec"
    )


JOB = Job("0" * 43 + "1", NOW, "T", "P", "C", "F", "POST", "/x", b"[]", b"", "", "csv", "a.csv", 9, "00", 10)


def event_key(text: str) -> IdempotencyKey:
    return IdempotencyKey(f"event_id:{text}", "event_id")


def last_key(value: str) -> IdempotencyKey:
    return IdempotencyKey(f"payload_hash:{value}", "payload_hash_last", scope_key="scope")


def group(*ids: str, versions: Sequence[tuple[str, str]] = ()) -> Group:
    """Commands with these ids; `versions` are (entity, order)."""
    return Group(
        "store",
        len(ids),
        orjson.dumps(list(ids)).decode(),
        outbox.pack([orjson.dumps({"id": id}) for id in ids]),
        tuple(EntityVersion(entity, order, order) for entity, order in versions) or None,
    )


def conclusion(delivery: str, key: IdempotencyKey | None, *groups: Group, **changes: Any) -> Conclusion:
    return Conclusion(
        delivery=delivery, attempt=1, tenant="T", provider="P", connection="C", feed="F", event="", state="accepted",
        at=NOW, received_at=NOW, key=key, groups=groups, mappings=(), failures=(), results=b"[]", entities="[]",
        external_merchant="", external_store="", merchant_id="m", store_id="s", spec_hash="spec",
    )._replace(**changes)  # fmt: skip


def created(external_id: str, canonical_id: str) -> tuple[NewMapping, ...]:
    return (NewMapping(Ref("item", "", external_id), canonical_id),)


class _Futures:
    def settle(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.error is not None:
                entry.waiter.set_exception(entry.error)
            else:
                entry.waiter.set_result(entry.result)


class Writer:
    """A group writer with a database of its own, as in a process of its own. `hold` stops it before its COMMIT."""

    def __init__(self, url: str, **options: Any) -> None:
        """`options` are GroupWriter's."""
        self.database: Database = open_database(url, pool=2)
        self.group = GroupWriter(self.database, **options)
        self._go = threading.Event()
        self._go.set()
        self.reached = threading.Event()
        self._apply = self.group._apply
        self.group._apply = self._applied
        self.group.start()

    def _applied(self, *arguments: Any) -> None:
        self._apply(*arguments)
        if not self._go.is_set():
            self.reached.set()
            assert self._go.wait(PATIENCE)

    def send(self, *whats: Flight | Conclusion | Callable[[Connection], Any]) -> list[Future[Any]]:
        """Hands all over at once, so that they are one batch."""
        entries = [Entry(what, 1, _Futures(), Future()) for what in whats]
        self.group.submit(*entries)
        return [entry.waiter for entry in entries]

    def write(self, *whats: Flight | Conclusion | Callable[[Connection], Any]) -> list[Any]:
        return [answer.result(PATIENCE) for answer in self.send(*whats)]

    def receive(self, *ids: str) -> None:
        self.write(*(flight_of(raw(id), "owner", 60) for id in ids))

    def conclude(self, *conclusions: Conclusion) -> list[Committed]:
        return self.write(*conclusions)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it transactions stop before COMMIT; `reached` says that one has."""
        self.reached.clear()
        self._go.clear()
        try:
            yield
        finally:
            self._go.set()

    def read(self, job: Any) -> Any:
        with self.database.engine.connect() as connection:
            return job(connection)

    def close(self) -> None:
        self._go.set()
        self.group.stop()
        self.database.close()


def wait_until_blocked(writer: Writer) -> None:
    """Returns when a session of this database waits for a lock that another holds."""

    def blocked(connection: Connection) -> int:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return connection.exec_driver_sql(waiting).scalar_one()

    give_up = time.monotonic() + PATIENCE
    while not writer.read(blocked):
        assert time.monotonic() < give_up


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)
