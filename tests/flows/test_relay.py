from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from sqlalchemy import Connection, Engine, insert, select

from bus import BusUnavailable, EmbeddedLog, Message, PublishError, Stored
from flows.relay import Pace, Relay, settle
from stores import outbox, shards
from stores.database import open_database
from stores.outbox import Pending
from stores.tables import deliveries, failures, micros
from stores.tables import outbox as outbox_table

T = TypeVar("T")
TOPIC = "catalog.commands"
START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = PublishError("unconfirmed", "not in time")
NEVER = PublishError("oversized", "too large", permanent=True)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Database:
    """The outbox's database with the two ways to it that a relay is handed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def read(self, job: Callable[[Connection], T], /) -> T:
        with self.engine.connect() as connection:
            return job(connection)

    def write(self, job: Callable[[Connection], T], /) -> T:
        with self.engine.connect().execution_options(writing=True) as connection, connection.begin():
            return job(connection)

    def add(self, *ids: str, shard: int = 0, delivery: str = "d1", **changes: Any) -> None:
        """An outbox row whose commands have these ids."""
        values = {
            "delivery": delivery,
            "attempt": 1,
            "shard": shard,
            "kafka_key": f"key-{shard}",
            "count": len(ids),
            "ids": list(ids),
            "data": outbox.pack([event(id) for id in ids]),
            "created_at": START,
            **changes,
        }
        self.write(lambda connection: connection.execute(insert(outbox_table).values(values)))

    def add_delivery(self, id: str) -> None:
        text = dict.fromkeys(("provider", "connection", "feed", "method", "url", "peer"), "x")
        blobs = dict.fromkeys(("headers", "sealed", "body"), b"")
        rest = {"received_at": START, "tenant": "T", "body_sealed": False, "spec_hash": "", "quarantined": ""}
        self.write(lambda c: c.execute(insert(deliveries).values(id=id, **text, **blobs, **rest)))

    def counts(self) -> tuple[int, int, int]:
        """Rows pending, parked and published."""
        counts = self.read(outbox.counts)
        return counts.pending_rows, counts.parked_rows, counts.published_rows


class FaultyBus:
    """A bus in memory that fails where a test says; after a retriable failure it sends no more of a key."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.calls: list[list[str]] = []
        self.away = False
        self.faults: dict[str, PublishError] = {}
        self.before_report: Callable[[], object] = lambda: None
        self.called = threading.Semaphore(0)

    def publish(self, topic: str, messages: Sequence[Message]) -> list[PublishError | None]:
        self.calls.append([message.id for message in messages])
        self.called.release()
        if self.away:
            raise BusUnavailable("away")
        stopped: set[bytes] = set()
        reports: list[PublishError | None] = []
        for message in messages:
            report = LATER if message.key in stopped else self.faults.get(message.id)
            if report is None:
                self.sent.append(message.id)
            elif not report.permanent:
                stopped.add(message.key)
            reports.append(report)
        self.before_report()
        return reports

    def read(self, topic: str, offset: int, max: int, partition: int = 0) -> list[Stored]:
        raise NotImplementedError

    def end_offset(self, topic: str, partition: int = 0) -> int:
        return len(self.sent)

    def partitions(self, topic: str) -> int:
        return 1

    def close(self) -> None:
        pass


class Lines:
    """A log that remembers the names of its events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, /, **facts: Any) -> None:
        self.events.append(event)

    def warning(self, event: str, /, **facts: Any) -> None:
        self.events.append(event)


def event(id: str) -> bytes:
    return orjson.dumps({"specversion": "1.0", "id": id, "source": "/s", "type": "t", "data": {"of": id}})


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    database = Database(opened.engine)
    database.add_delivery("d1")
    yield database
    opened.close()


@pytest.fixture
def bus() -> FaultyBus:
    return FaultyBus()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "bus.db")
    yield log
    log.close()


def relay(database: Database, bus: Any, clock: Callable[[], datetime], owner: str = "one", **changes: Any) -> Relay:
    handed_in: dict[str, Any] = {
        "read": database.read,
        "write": database.write,
        "jitter": lambda: 0.0,
        "log": Lines(),
        **changes,
    }
    return Relay(bus=bus, owner=owner, clock=clock, **handed_in)


def test_commands_reach_the_bus_oldest_first_and_leave_the_outbox(
    database: Database, log: EmbeddedLog, clock: Clock
) -> None:
    database.add("a", "b", shard=3)
    database.add("c", shard=1)
    database.add("d", shard=3)
    assert relay(database, log, clock).move() == 3
    assert [(m.id, m.key, m.value) for m in log.read(TOPIC, 0, 9)] == [
        ("a", b"key-3", event("a")),
        ("b", b"key-3", event("b")),
        ("c", b"key-1", event("c")),
        ("d", b"key-3", event("d")),
    ]
    assert database.counts() == (0, 0, 3)


def test_a_round_takes_no_more_rows_than_its_pace_allows(database: Database, bus: FaultyBus, clock: Clock) -> None:
    for id in "abc":
        database.add(id)
    paced = relay(database, bus, clock, pace=Pace(rows=2))
    assert (paced.move(), paced.move(), paced.move()) == (2, 1, 0)
    assert bus.calls == [["a", "b"], ["c"]]


def test_rows_before_the_first_failed_report_are_marked_and_the_shard_resumes_there(
    database: Database, bus: FaultyBus, clock: Clock
) -> None:
    for id in "abcd":
        database.add(id)
    bus.faults["c"] = LATER
    one = relay(database, bus, clock)
    assert one.move() == 2
    assert database.counts() == (2, 0, 2)
    bus.faults.clear()
    clock.pass_(1)
    assert one.move() == 2
    assert bus.calls[1] == ["c", "d"]
    assert bus.sent == ["a", "b", "c", "d"]


def test_a_row_of_which_one_command_failed_is_published_again_whole(
    database: Database, bus: FaultyBus, clock: Clock
) -> None:
    database.add("a", "b", "c")
    bus.faults["b"] = LATER
    one = relay(database, bus, clock)
    assert one.move() == 0
    bus.faults.clear()
    clock.pass_(1)
    assert one.move() == 1
    assert bus.sent == ["a", "a", "b", "c"]


def test_a_stopped_shard_keeps_no_other_shard_waiting(database: Database, bus: FaultyBus, clock: Clock) -> None:
    database.add("a", shard=1)
    database.add("b", shard=2)
    bus.faults["a"] = LATER
    one = relay(database, bus, clock)
    one.move()
    database.add("c", shard=2)
    one.move()
    assert bus.sent == ["b", "c"]
    assert bus.calls[1] == ["c"]
    assert one.health.state == "backing_off"
    assert one.health.last_error == "unconfirmed: not in time"
    assert one.health.behind_since == START


def test_a_shard_that_fails_again_waits_longer(database: Database, bus: FaultyBus, clock: Clock) -> None:
    database.add("a")
    bus.faults["a"] = LATER
    one = relay(database, bus, clock, pace=Pace(first_backoff=2, longest_backoff=3), jitter=lambda: 1.0)
    tried = []
    for _ in range(10):
        one.move()
        tried.append(len(bus.calls))
        clock.pass_(1)
    assert tried == [1, 1, 2, 2, 2, 3, 3, 3, 4, 4]


def test_order_within_each_key_survives_a_bus_that_fails_at_every_message_once(
    database: Database, bus: FaultyBus, clock: Clock
) -> None:
    ids = [f"{n}" for n in range(24)]
    for n, id in enumerate(ids):
        database.add(id, shard=n % 3)
    one = relay(database, bus, clock)
    for id in ids:
        bus.faults = {id: LATER}
        one.move()
        clock.pass_(40)
    bus.faults = {}
    one.move()
    firsts = list(dict.fromkeys(bus.sent))
    assert [[int(id) % 3 == k for id in firsts].count(True) for k in range(3)] == [8, 8, 8]
    for k in range(3):
        assert [id for id in bus.sent if int(id) % 3 == k] == ids[k::3]
    assert database.counts() == (0, 0, 24)


def test_a_row_that_the_bus_never_takes_is_parked_and_those_behind_it_go_on(
    database: Database, bus: FaultyBus, clock: Clock
) -> None:
    for id in "abc":
        database.add(id)
    bus.faults["b"] = NEVER
    one = relay(database, bus, clock)
    assert one.move() == 3
    assert bus.sent == ["a", "c"]
    assert database.counts() == (0, 1, 2)
    failure = database.read(lambda c: c.execute(select(failures.c.delivery, failures.c.code)).all())
    assert [tuple(row) for row in failure] == [("d1", "oversized")]
    assert (one.health.state, one.health.parked) == ("running", 1)


def test_a_parked_row_goes_out_when_it_is_released(database: Database, bus: FaultyBus, clock: Clock) -> None:
    database.add("a", "b")
    bus.faults["b"] = NEVER
    one = relay(database, bus, clock)
    one.move()
    bus.faults.clear()
    database.write(lambda connection: outbox.unpark(connection, "d1"))
    assert one.move() == 1
    assert bus.calls[1] == ["a", "b"]
    assert database.counts() == (0, 0, 1)


def test_a_row_that_cannot_be_read_is_parked_and_those_behind_it_go_on(
    database: Database, bus: FaultyBus, clock: Clock
) -> None:
    database.add("a", data=b"nonsense", count=2)
    database.add("b")
    assert relay(database, bus, clock).move() == 2
    assert bus.sent == ["b"]
    assert database.counts() == (0, 1, 1)


def test_a_conflicting_id_on_the_embedded_log_is_parked_with_its_code(
    database: Database, log: EmbeddedLog, clock: Clock
) -> None:
    log.publish(TOPIC, [Message("a", b"key-0", b'{"data":"another"}')])
    database.add("a")
    relay(database, log, clock).move()
    assert database.counts() == (0, 1, 0)
    assert database.read(lambda c: c.scalars(select(failures.c.code)).all()) == ["conflicting_id"]


def test_a_crash_between_publishing_and_marking_leaves_no_second_copy_in_the_log(
    database: Database, log: EmbeddedLog, clock: Clock
) -> None:
    database.add("a", "b")

    def crash(job: Callable[[Connection], T], /) -> T:
        if log.end_offset(TOPIC):
            raise ConnectionError("killed")
        return database.write(job)

    with pytest.raises(ConnectionError):
        relay(database, log, clock, write=crash).move()
    assert database.counts() == (1, 0, 0)
    database.add("c")
    assert relay(database, log, clock).move() == 2
    assert [m.id for m in log.read(TOPIC, 0, 9)] == ["a", "b", "c"]
    assert database.counts() == (0, 0, 2)


def test_a_restarted_relay_takes_over_what_its_killed_predecessor_held(
    database: Database, bus: FaultyBus, clock: Clock
) -> None:
    relay(database, bus, clock).move()
    database.add("a")
    assert relay(database, bus, clock, owner="two").move() == 0
    assert relay(database, bus, clock, owner="one").move() == 1


def test_a_fenced_out_relay_marks_and_parks_nothing(database: Database, bus: FaultyBus, clock: Clock) -> None:
    database.add("a")
    database.add("b")
    bus.faults["b"] = NEVER
    slow = relay(database, bus, clock, owner="slow")
    other = FaultyBus()
    other.away = True

    def take_over() -> None:
        clock.pass_(61)
        with pytest.raises(BusUnavailable):
            relay(database, other, clock, owner="quick").move()

    bus.before_report = take_over
    assert slow.move() == 0
    assert slow.health.published == 0
    assert other.calls == [["a", "b"]]
    assert database.counts() == (2, 0, 0)


def test_a_relay_whose_lease_may_run_out_does_not_publish(database: Database, bus: FaultyBus, clock: Clock) -> None:
    database.add("a")

    def slow_read(job: Callable[[Connection], T], /) -> T:
        clock.pass_(31)
        return database.read(job)

    assert relay(database, bus, clock, read=slow_read).move() == 0
    assert bus.calls == []


def test_two_relays_share_the_shards_and_no_command_goes_out_twice(database: Database, clock: Clock) -> None:
    first, second = FaultyBus(), FaultyBus()
    one, two = relay(database, first, clock, owner="one"), relay(database, second, clock, owner="two")
    for mover in (one, two):
        mover.move()
    clock.pass_(21)
    for mover in (one, two):
        mover.move()
    barrier = threading.Barrier(2)
    first.before_report = second.before_report = lambda: barrier.wait(20)
    for n in range(shards.SHARDS * 2):
        database.add(str(n), shard=n % shards.SHARDS)
    threads = [threading.Thread(target=mover.move) for mover in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(first.sent), len(second.sent)) == (shards.SHARDS, shards.SHARDS)
    assert {*first.sent, *second.sent} == {str(n) for n in range(shards.SHARDS * 2)}
    assert database.counts() == (0, 0, shards.SHARDS * 2)


def test_a_bus_that_was_away_gets_everything_in_order_when_it_is_back(
    database: Database, bus: FaultyBus, clock: Clock
) -> None:
    bus.away = True
    for id in "abc":
        database.add(id)
    one = relay(database, bus, clock)
    with pytest.raises(BusUnavailable):
        one.move()
    assert one.health.behind_since == START
    assert database.counts() == (3, 0, 0)
    bus.away = False
    database.add("d")
    assert one.move() == 4
    assert bus.sent == ["a", "b", "c", "d"]
    assert (one.health.state, one.health.behind_since) == ("running", None)


def test_rows_that_commit_late_under_a_lower_id_are_not_skipped(
    database: Database, bus: FaultyBus, clock: Clock
) -> None:
    one = relay(database, bus, clock)
    database.add("late", id=7)
    database.add("early", id=9)
    one.move()
    database.add("later still", id=8)
    assert one.move() == 1
    assert bus.sent == ["late", "early", "later still"]


QUICK = Pace(gather=0, first_backoff=0.001, longest_backoff=0.001, poll=60)


def test_a_running_relay_wakes_at_once_and_gives_its_leases_back_when_stopped(
    database: Database, bus: FaultyBus
) -> None:
    one = relay(database, bus, lambda: datetime.now(UTC), pace=QUICK)
    one.start()
    database.add("a")
    one.wake()
    assert bus.called.acquire(timeout=20)
    assert one.stop(20)
    assert one.health.state == "stopped"
    assert bus.sent == ["a"]
    assert relay(database, bus, lambda: datetime.now(UTC), owner="two").move() == 0
    database.add("b")
    assert relay(database, bus, lambda: datetime.now(UTC), owner="three", pace=QUICK).move() == 0


def test_a_round_that_its_size_cut_short_is_followed_by_the_next_at_once(database: Database, bus: FaultyBus) -> None:
    for id in "abc":
        database.add(id)
    one = relay(database, bus, lambda: datetime.now(UTC), pace=Pace(size=2, gather=600, poll=600))
    one.start()
    for _ in range(3):
        assert bus.called.acquire(timeout=20)
    assert one.stop(20)
    assert bus.calls == [["a"], ["b"], ["c"]]


def test_a_running_relay_survives_a_bus_and_a_database_that_fail_for_a_while(
    database: Database, bus: FaultyBus
) -> None:
    broken = threading.Semaphore(3)

    def failing_write(job: Callable[[Connection], T], /) -> T:
        if broken.acquire(blocking=False):
            raise OSError("database away")
        return database.write(job)

    lines = Lines()
    database.add("a")
    bus.away = True
    one = relay(database, bus, lambda: datetime.now(UTC), pace=QUICK, write=failing_write, log=lines)
    one.start()
    for _ in range(5):
        assert bus.called.acquire(timeout=20)
    assert one.health.state == "backing_off"
    bus.away = False
    while not bus.sent:
        assert bus.called.acquire(timeout=20)
    assert one.stop(20)
    assert set(bus.sent) == {"a"}
    assert database.counts() == (0, 0, 1)
    assert lines.events.count("relay_failed") >= 8
    assert lines.events[-1] == "relay_recovered"


def test_a_log_that_cannot_be_written_to_stops_no_relay(database: Database, bus: FaultyBus) -> None:
    class Broken(Lines):
        def warning(self, event: str, /, **facts: Any) -> None:
            raise OSError("disk full")

    database.add("a")
    bus.away = True
    one = relay(database, bus, lambda: datetime.now(UTC), pace=QUICK, log=Broken())
    one.start()
    for _ in range(3):
        assert bus.called.acquire(timeout=20)
    bus.away = False
    while not bus.sent:
        assert bus.called.acquire(timeout=20)
    assert one.stop(20)


def test_a_relay_that_was_never_started_can_be_stopped(database: Database, bus: FaultyBus, clock: Clock) -> None:
    assert relay(database, bus, clock).stop()


def row(id: int, shard: int, *ids: str) -> Pending:
    return Pending(id, "d", 1, shard, "k", list(ids), [b"{}"] * len(ids), micros(START))


def test_a_later_row_of_a_stopped_shard_is_left_even_if_the_bus_has_it() -> None:
    rows = [row(1, 0, "a"), row(2, 0, "b", "c"), row(3, 1, "d"), row(4, 0, "e")]
    settled = settle(rows, [None, None, LATER, None, None])
    assert [r.id for r in settled.published] == [1, 3]
    assert [r.id for r in settled.left] == [2, 4]
    assert settled.stopped == {0: LATER}


def test_a_row_with_both_kinds_of_failure_is_tried_again_first() -> None:
    settled = settle([row(1, 0, "a", "b")], [NEVER, LATER])
    assert (settled.rejected, [r.id for r in settled.left]) == ([], [1])
