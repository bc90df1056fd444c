from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from sqlalchemy import Connection, insert, select

import schemas
from bus import BusUnavailable, EmbeddedLog, Message, PublishError
from engine.failures import Failure
from flows.failure_relay import FailureRelay, NotTaken
from flows.journal import database_url
from stores import failure_sums
from stores.database import open_database
from stores.tables import failure_sums as sums_table
from stores.tables import failures, metadata
from tests.flows.scenery import SECRET, deliver, settings_in, started, stock

T = TypeVar("T")
TOPIC = "integration.failures"
START = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
OWNER = {"tenant": "north", "provider": "acme", "connection": "one", "feed": "stock"}


class Scene:
    """A database, a log and a clock that tests move."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(f"sqlite:///{folder}/tiffin.db")
        metadata.create_all(self.database.engine)
        self.log = EmbeddedLog(folder / "bus.db")
        self.now = START
        self.warnings: list[str] = []

    def read(self, job: Callable[[Connection], T], /) -> T:
        with self.database.engine.connect() as connection:
            return job(connection)

    def write(self, job: Callable[[Connection], T], /) -> T:
        with self.database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            return job(connection)

    def info(self, event: str, /, **facts: Any) -> None:
        pass

    def warning(self, event: str, /, **facts: Any) -> None:
        self.warnings.append(event)

    def relay(self, owner: str = "one", bus: Any = None) -> FailureRelay:
        return FailureRelay(
            bus=bus or self.log, topic=TOPIC, owner=owner, read=self.read, write=self.write,
            clock=lambda: self.now, log=self,
        )  # fmt: skip

    def fail(self, code: str, delivery: str = "d1") -> None:
        failure = Failure("mapping", code, "It is not mapped.", "Map it.", facts={"kind": "store"})
        values = {**OWNER, "delivery": delivery, "attempt": 1, "at": self.now, "class": "mapping", "code": code}
        self.write(lambda c: c.execute(insert(failures).values({**values, "data": failure.to_json()})))

    def count(self, cls: str, code: str, times: int = 1) -> None:
        for _ in range(times):
            self.write(lambda c: failure_sums.add(c, self.now, cls, code, OWNER))

    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(message.value) for message in self.log.read(TOPIC, 0, 1000)]

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)

    def waiting(self) -> tuple[int, int]:
        """Failures and sums that were not told."""
        untold = self.read(lambda c: len(c.execute(select(failures.c.id).where(failures.c.told_at.is_(None))).all()))
        return untold, self.read(lambda c: len(c.execute(select(sums_table.c.id)).all()))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.log.close()
    scene.database.close()


def valid_event() -> Draft202012Validator:
    record = schemas.schema("failure")
    registry: Registry[Any] = Registry().with_resource(record["$id"], Resource.from_contents(record))
    return Draft202012Validator(schemas.schema("failure-event"), registry=registry)


class Crashed(Exception):
    pass


class CrashingBus:
    """Publishes, and is gone before the reports arrive."""

    def __init__(self, log: EmbeddedLog) -> None:
        self._log = log

    def publish(self, topic: str, messages: Sequence[Message]) -> list[PublishError | None]:
        self._log.publish(topic, messages)
        raise Crashed


class RefusingBus:
    """Reports as it is told to."""

    def __init__(self, *reports: PublishError | None) -> None:
        self._reports = reports

    def publish(self, topic: str, messages: Sequence[Message]) -> list[PublishError | None]:
        return list(self._reports[: len(messages)])


def test_each_failure_becomes_one_event_that_the_schema_allows(scene: Scene) -> None:
    scene.fail("unmapped", "d1")
    scene.fail("unmapped", "d2")
    assert scene.relay().move() == 2
    events = scene.events()
    assert [(e["subject"], e["data"]["code"]) for e in events] == [("d1", "unmapped"), ("d2", "unmapped")]
    assert [list(valid_event().iter_errors(e)) for e in events] == [[], []]


def test_a_failure_that_was_told_is_not_told_again(scene: Scene) -> None:
    scene.fail("unmapped")
    relay = scene.relay()
    assert (relay.move(), relay.move(), len(scene.events())) == (1, 0, 1)


def test_a_crash_between_publishing_and_marking_leaves_one_event(scene: Scene) -> None:
    scene.fail("unmapped")
    with pytest.raises(Crashed):
        scene.relay(bus=CrashingBus(scene.log)).move()
    assert scene.waiting() == (1, 0)
    assert scene.relay().move() == 1
    assert (len(scene.events()), scene.waiting()) == (1, (0, 0))


def test_a_minute_is_told_as_one_sum_when_it_is_over(scene: Scene) -> None:
    scene.count("duplicate", "duplicate", 3)
    scene.count("auth", "signature_wrong", 2)
    relay = scene.relay()
    assert relay.move() == 0
    scene.pass_(seconds=30)
    relay.move()
    events = scene.events()
    assert [(e["data"]["class"], e["data"]["facts"]["count"]) for e in events] == [("auth", 2), ("duplicate", 3)]
    assert events[0]["data"]["facts"]["from"] == "2026-01-01T12:00:00.000000Z"
    assert [list(valid_event().iter_errors(e)) for e in events] == [[], []]
    assert scene.waiting() == (0, 0)


def test_what_commits_late_is_a_second_sum_of_its_minute(scene: Scene) -> None:
    scene.count("duplicate", "duplicate", 3)
    late = scene.now
    scene.pass_(minutes=2)
    relay = scene.relay()
    relay.move()
    scene.write(lambda c: failure_sums.add(c, late, "duplicate", "duplicate", OWNER))
    relay.move()
    events = scene.events()
    assert [e["data"]["facts"]["count"] for e in events] == [3, 1]
    assert len({e["id"] for e in events}) == 2


def test_a_crash_after_a_sum_was_published_changes_no_sum(scene: Scene) -> None:
    scene.count("duplicate", "duplicate", 3)
    late = scene.now
    scene.pass_(minutes=2)
    with pytest.raises(Crashed):
        scene.relay(bus=CrashingBus(scene.log)).move()
    scene.write(lambda c: failure_sums.add(c, late, "duplicate", "duplicate", OWNER))
    scene.relay().move()
    assert [e["data"]["facts"]["count"] for e in scene.events()] == [3, 1]


def test_the_sums_of_two_connections_are_told_apart(scene: Scene) -> None:
    scene.count("duplicate", "duplicate", 2)
    scene.write(lambda c: failure_sums.add(c, scene.now, "duplicate", "duplicate", {**OWNER, "connection": "two"}))
    scene.pass_(minutes=1)
    scene.relay().move()
    assert {e["connection"]: e["data"]["facts"]["count"] for e in scene.events()} == {"one": 2, "two": 1}


def test_only_the_holder_of_the_lease_tells(scene: Scene) -> None:
    first, second = scene.relay("one"), scene.relay("two")
    scene.fail("unmapped", "d1")
    assert first.move() == 1
    scene.fail("unmapped", "d2")
    assert (second.move(), first.move()) == (0, 1)


def test_another_takes_over_when_the_lease_has_run_out(scene: Scene) -> None:
    scene.fail("unmapped", "d1")
    scene.relay("one").move()
    scene.fail("unmapped", "d2")
    scene.pass_(minutes=2)
    assert scene.relay("two").move() == 1


def test_who_lost_the_lease_while_it_published_marks_nothing(scene: Scene) -> None:
    scene.fail("unmapped")
    slow = scene.relay("one")

    class SlowBus:
        def publish(self, topic: str, messages: Sequence[Message]) -> list[PublishError | None]:
            scene.pass_(minutes=2)
            scene.relay("two").move()
            return scene.log.publish(topic, messages)

    slow._bus = SlowBus()  # type: ignore[assignment]
    assert (slow.move(), len(scene.events()), scene.waiting()) == (0, 1, (0, 0))


def test_events_before_the_first_that_may_still_pass_are_marked(scene: Scene) -> None:
    for delivery in ("d1", "d2", "d3"):
        scene.fail("unmapped", delivery)
    later = PublishError("unconfirmed", "not in time")
    assert scene.relay(bus=RefusingBus(None, later, None)).move() == 1
    assert scene.waiting() == (2, 0)


def test_nothing_is_marked_when_the_first_may_still_pass(scene: Scene) -> None:
    scene.fail("unmapped")
    with pytest.raises(NotTaken):
        scene.relay(bus=RefusingBus(PublishError("unconfirmed", "not in time"))).move()
    assert scene.waiting() == (1, 0)


def test_an_event_that_the_bus_never_takes_holds_nothing_up_and_is_logged(scene: Scene) -> None:
    scene.fail("unmapped", "d1")
    scene.fail("unmapped", "d2")
    assert scene.relay(bus=RefusingBus(PublishError("oversized", "too large", permanent=True), None)).move() == 2
    assert scene.warnings == ["failure_not_told"]


def test_a_running_relay_survives_a_bus_that_is_away(scene: Scene) -> None:
    scene.fail("unmapped")

    class Away:
        def publish(self, topic: str, messages: Sequence[Message]) -> list[PublishError | None]:
            raise BusUnavailable("away")

    relay = scene.relay(bus=Away())
    assert relay.attempt().seconds > 0
    assert relay.health.state == "backing_off"
    relay._bus = scene.log
    relay.attempt()
    assert (relay.health.state, len(scene.events())) == ("running", 1)


@pytest.mark.parametrize(
    ("documents", "secret", "told"),
    [
        ([stock("e-1"), stock("e-1"), stock("e-1")], SECRET, [("duplicate", "duplicate", 2)]),
        ([stock("e-1"), stock("e-2")], "another-secret-of-the-tests", [("auth", "signature_mismatch", 2)]),
        ([stock("e-1", a="x")], SECRET, [("validation", "not_a_number", None)]),
    ],
    ids=["duplicates", "unverified", "failed"],
)
def test_what_a_service_refuses_is_told(
    tmp_path: Path, scene: Scene, documents: list[Any], secret: str, told: list[Any]
) -> None:
    settings = settings_in(tmp_path)

    async def receive() -> None:
        async with started(settings, serving=False) as service:
            for document in documents:
                await deliver(service, document, secret=secret)

    asyncio.run(receive())
    scene.database.close()
    scene.database = open_database(database_url(settings))
    scene.now = datetime.now(UTC) + timedelta(minutes=2)
    scene.relay().move()
    found = [e["data"] for e in scene.events()]
    assert [(d["class"], d["code"], d["facts"].get("count")) for d in found] == told
