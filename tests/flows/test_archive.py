from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pytest
from sqlalchemy import Connection, insert, select

from engine.failures import Failure
from flows.archive import Archive, ArchiveBusy, NotErasable, Size
from stores import archive, deliveries, leases, payloads
from stores.database import open_database
from stores.deliveries import StoredDelivery
from stores.objects import Objects, ObjectsAway, ObjectStoreOptions
from stores.payloads import PayloadErased, body_key, object_place
from stores.tables import audit, failures, in_flight, metadata, outcomes
from stores.tables import deliveries as deliveries_table
from tests.stores.test_objects import S3, s3_options

T = TypeVar("T")
DAY = datetime(2026, 1, 1, tzinfo=UTC)
NOW = DAY + timedelta(days=10, hours=5)


class Crashed(BaseException):
    """The process ends here."""


class Scene:
    """Deliveries in a database, a folder of objects, and a crash at a chosen step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = open_database(f"sqlite:///{folder}/tiffin.db")
        metadata.create_all(self.database.engine)
        self.objects = Objects(ObjectStoreOptions("", folder / "objects"))
        self.now = NOW
        self.crash_at: int | None = None
        self.steps = 0
        self.put: dict[str, tuple[bytes, bytes, bytes]] = {}
        self._ids = itertools.count()

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.crash_at:
            raise Crashed

    def read(self, job: Callable[[Connection], T], /) -> T:
        with self.database.engine.connect() as connection:
            return job(connection)

    def write(self, job: Callable[[Connection], T], /) -> T:
        with self.database.engine.connect().execution_options(writing=True) as connection, connection.begin():
            return job(connection)

    def info(self, event: str, /, **facts: Any) -> None:
        pass

    def warning(self, event: str, /, **facts: Any) -> None:
        pass

    def archive(self, owner: str = "one", **size: int) -> Archive:
        """An archive each of whose writes may be where the process ends: before it, or after it."""
        scene = self

        class Stepping:
            place = scene.objects.place

            def __getattr__(self, name: str) -> Any:
                whole = getattr(scene.objects, name)
                return whole if name in ("get", "reader", "keys") else stepping(whole)

        def stepping(function: Callable[..., T]) -> Callable[..., T]:
            def call(*arguments: Any) -> T:
                scene.step()
                result = function(*arguments)
                scene.step()
                return result

            return call

        objects: Any = Stepping()
        return Archive(
            read=self.read, write=stepping(self.write), objects=objects, owner=owner, clock=lambda: self.now,
            new_id=lambda: f"seg{next(self._ids)}", log=self, size=Size(**{"rows": 3, "trim": 2, **size}),
        )  # fmt: skip

    def add(self, id: str, at: datetime, provider: str = "acme", *, large: bool = False, **changes: Any) -> None:
        headers, sealed, body = (
            f'[["x-id","{id}"]]'.encode(),
            b"\x00sealed" + id.encode(),
            bytes(range(256)) + id.encode(),
        )
        row: dict[str, Any] = {
            "id": id, "received_at": at, "tenant": "north", "provider": provider, "connection": "one", "feed": "stock",
            "method": "POST", "url": "http://t/x?a=1", "headers": headers, "sealed": sealed, "body": body,
            "body_sealed": True, "peer": "192.0.2.1", "spec_hash": "h", "quarantined": "", "place": "", **changes,
        }  # fmt: skip
        if large:
            key = body_key(id, at)
            self.objects.put(key, body)
            row |= {"body": b"", "place": object_place(key, body)}
        self.write(lambda c: c.execute(insert(deliveries_table).values(row)))
        self.put[id] = (headers, sealed, body)

    def stored(self, id: str) -> StoredDelivery:
        found = self.read(lambda c: deliveries.get(c, id))
        assert found is not None
        return found

    def payload(self, id: str) -> tuple[bytes, bytes, bytes]:
        whole = self.read(lambda c: payloads.whole(c, self.objects, self.stored(id)))
        return whole.headers, whole.sealed, whole.body

    def places(self) -> dict[str, str]:
        return {id: self.stored(id).place.partition(":")[0] for id in self.put}

    def files(self) -> list[str]:
        root = self.folder / "objects"
        return sorted(str(f.relative_to(root)) for f in root.rglob("*") if f.is_file())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.database.close()


def fill(scene: Scene) -> None:
    """Two days, two providers, small and large bodies."""
    for n in range(5):
        scene.add(f"a{n}", DAY + timedelta(hours=n), large=n == 2)
    scene.add("b0", DAY + timedelta(hours=1), "base")
    scene.add("c0", DAY + timedelta(days=2))


def test_payloads_are_packed_by_provider_and_day_and_read_back_byte_for_byte(scene: Scene) -> None:
    fill(scene)
    packed = list(scene.archive().run(NOW))
    assert [(one.provider, one.day, one.rows) for one in packed] == [
        ("acme", "2026-01-01", 3), ("acme", "2026-01-01", 2), ("base", "2026-01-01", 1), ("acme", "2026-01-03", 1),
    ]  # fmt: skip
    assert set(scene.places().values()) == {"segment"}
    assert {id: scene.payload(id) for id in scene.put} == scene.put


def test_the_rows_of_what_is_packed_hold_no_payload(scene: Scene) -> None:
    fill(scene)
    list(scene.archive().run(NOW))
    stored = scene.stored("a1")
    assert (stored.headers, stored.sealed, stored.body) == (b"[]", b"", b"")


def test_large_bodies_leave_no_object_of_their_own(scene: Scene) -> None:
    fill(scene)
    assert any(file.startswith("bodies/") for file in scene.files())
    list(scene.archive().run(NOW))
    assert not any(file.startswith("bodies/") for file in scene.files())


def test_only_whole_days_that_have_ended_are_packed(scene: Scene) -> None:
    scene.add("today", NOW)
    scene.add("recent", NOW - timedelta(days=1))
    list(scene.archive().run(NOW - timedelta(days=1)))
    assert scene.places() == {"today": "", "recent": ""}


def test_what_is_quarantined_or_in_flight_stays_in_its_row(scene: Scene) -> None:
    scene.add("q", DAY, quarantined="signature_mismatch")
    scene.add("f", DAY)
    scene.write(lambda c: c.execute(insert(in_flight).values(delivery="f", owner="x", lease_until=NOW, attempts=1)))
    assert list(scene.archive().run(NOW)) == []


def test_a_rescan_packs_what_was_in_flight_before(scene: Scene) -> None:
    scene.add("f", DAY)
    scene.write(lambda c: c.execute(insert(in_flight).values(delivery="f", owner="x", lease_until=NOW, attempts=1)))
    list(scene.archive().run(NOW))
    scene.write(lambda c: c.execute(in_flight.delete()))
    assert list(scene.archive().run(NOW)) == []
    assert [one.rows for one in scene.archive().run(NOW, rescan=True)] == [1]


def test_a_second_run_finds_nothing_to_do(scene: Scene) -> None:
    fill(scene)
    list(scene.archive().run(NOW))
    files = scene.files()
    assert list(scene.archive().run(NOW, rescan=True)) == []
    assert scene.files() == files


def crash_points(scene: Scene, work: Callable[[Archive], object]) -> int:
    """How many places there are at which a process may end during some work."""
    work(scene.archive())
    return scene.steps


@pytest.mark.parametrize("at", range(1, 61))
def test_a_run_that_ends_anywhere_loses_nothing_and_the_next_one_finishes(scene: Scene, at: int) -> None:
    fill(scene)
    scene.crash_at = at
    try:
        list(scene.archive("one").run(NOW))
    except Crashed:
        assert {id: scene.payload(id) for id in scene.put} == scene.put
    scene.crash_at, scene.now = None, NOW + timedelta(hours=1)
    list(scene.archive("two").run(NOW))
    assert {id: scene.payload(id) for id in scene.put} == scene.put
    assert set(scene.places().values()) == {"segment"}
    assert scene.files() == sorted(one.key for one in scene.read(archive.listed))
    assert [one.problem for one in scene.archive("three").verify()] == [""] * 4


def test_the_crashes_above_are_at_every_step_of_a_run(scene: Scene) -> None:
    fill(scene)
    assert crash_points(scene, lambda one: list(one.run(NOW))) <= 60


def test_an_object_that_no_row_speaks_of_is_removed(scene: Scene) -> None:
    scene.add("a", DAY)
    scene.objects.put(body_key("never-committed", DAY), b"x")
    list(scene.archive().run(NOW))
    assert [file for file in scene.files() if file.startswith("bodies/")] == []


def test_a_row_whose_object_is_gone_holds_nothing_up(scene: Scene) -> None:
    scene.add("a", DAY, large=True)
    scene.add("b", DAY)
    scene.objects.delete(body_key("a", DAY))
    assert [one.rows for one in scene.archive().run(NOW)] == [1]
    assert scene.places() == {"a": "object", "b": "segment"}


def test_one_at_a_time_works_on_the_archive(scene: Scene) -> None:
    scene.add("a", DAY)
    scene.write(lambda c: leases.take(c, "archive", "another", NOW, NOW + timedelta(minutes=1)))
    with pytest.raises(ArchiveBusy):
        list(scene.archive().run(NOW))
    assert scene.places() == {"a": ""}


def test_who_lost_the_lease_trims_nothing(scene: Scene) -> None:
    scene.add("a", DAY)
    working = scene.archive("one")
    put = scene.objects.put

    def slow(key: str, data: bytes) -> None:
        put(key, data)
        scene.now += timedelta(hours=1)
        scene.write(lambda c: leases.take(c, "archive", "another", scene.now, scene.now + timedelta(minutes=1)))

    scene.objects.put = slow  # type: ignore[method-assign]
    with pytest.raises(ArchiveBusy):
        list(working.run(NOW))
    assert scene.payload("a") == scene.put["a"]
    assert scene.places() == {"a": ""}


def test_a_store_that_is_away_changes_nothing(scene: Scene) -> None:
    scene.add("a", DAY)

    def away(key: str, data: bytes) -> None:
        raise ObjectsAway("away")

    scene.objects.put = away  # type: ignore[method-assign]
    with pytest.raises(ObjectsAway):
        list(scene.archive().run(NOW))
    assert (scene.places(), scene.payload("a")) == ({"a": ""}, scene.put["a"])


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_segment_that_is_not_what_was_written_is_named(scene: Scene, harm: str) -> None:
    fill(scene)
    list(scene.archive().run(NOW))
    victim = scene.read(archive.listed)[1]
    if harm == "gone":
        scene.objects.delete(victim.key)
    else:
        scene.objects.put(victim.key, scene.objects.get(victim.key)[:-5] + b"xxxxx")
    assert [one.segment.id for one in scene.archive().verify() if one.problem] == [victim.id]


def test_duckdb_reads_the_archive(scene: Scene) -> None:
    fill(scene)
    list(scene.archive().run(NOW))
    found = duckdb.sql(
        f"SELECT provider, count(*), sum(octet_length(body)), min(sha256 = sha256(body)) "
        f"FROM read_parquet('{scene.folder}/objects/raw/*/*/*.parquet') GROUP BY provider ORDER BY provider"
    ).fetchall()
    assert found == [("acme", 6, 6 * 258, True), ("base", 1, 258, True)]


@pytest.mark.skipif(not S3, reason="TIFFIN_TEST_S3_URL names no S3-compatible server")
def test_on_s3_payloads_come_back_and_one_can_be_erased(scene: Scene) -> None:
    scene.objects = Objects(s3_options(scene.folder))
    fill(scene)
    list(scene.archive().run(NOW))
    assert {id: scene.payload(id) for id in scene.put} == scene.put
    scene.archive().erase("a1", "ann", "asked for")
    with pytest.raises(PayloadErased):
        scene.payload("a1")
    assert scene.payload("a0") == scene.put["a0"]
    assert [one.problem for one in scene.archive().verify()] == [""] * 4
    assert sorted(scene.objects.keys("raw/")) == sorted(one.key for one in scene.read(archive.listed))


# ---- erasing ----


def note(scene: Scene, id: str) -> None:
    """An outcome and a failure that quote the payload."""
    failure = Failure(
        "mapping", "unmapped", "The store 'quoted-17' is not mapped.", "Map it.", path="a", facts={"x": "quoted-17"}
    )
    owner = {"tenant": "north", "provider": "acme", "connection": "one", "feed": "stock"}
    texts = dict.fromkeys(
        ("event", "key_text", "holder", "external_merchant", "external_store", "merchant_id", "store_id", "spec_hash"),
        "",
    )
    outcome = {
        "delivery": id, "attempt": 1, "at": NOW, "state": "partial", "commands": 1, "stale": 0,
        "results": b'[{"problems":["quoted-17"]}]', "entities": "[]", "command_ids": '["c-1"]', **texts,
    }  # fmt: skip
    failed = {**owner, "delivery": id, "attempt": 1, "at": NOW, "class": "mapping", "code": "unmapped"}
    scene.write(lambda c: c.execute(insert(outcomes).values(outcome)))
    scene.write(lambda c: c.execute(insert(failures).values({**failed, "data": failure.to_json()})))


@pytest.mark.parametrize("where", ["row", "object", "segment"])
def test_an_erased_payload_is_nowhere_and_its_neighbours_are_untouched(scene: Scene, where: str) -> None:
    for id in ("a1", "a2", "a3"):
        scene.add(id, DAY, large=where == "object")
        note(scene, id)
    if where == "segment":
        list(scene.archive().run(NOW))
    assert scene.archive().erase("a2", "ann", "asked for")
    with pytest.raises(PayloadErased):
        scene.payload("a2")
    assert {id: scene.payload(id) for id in ("a1", "a3")} == {id: scene.put[id] for id in ("a1", "a3")}
    body = scene.put["a2"][2]
    assert not any(body in f.read_bytes() for f in (scene.folder / "objects").rglob("*") if f.is_file())
    assert scene.read(lambda c: c.execute(select(audit.c.what, audit.c.who, audit.c.target, audit.c.why)).all()) == [
        ("delivery.erase", "ann", "a2", "asked for")
    ]
    if where == "segment":
        assert [one.problem for one in scene.archive().verify()] == [""]
        assert scene.files() == [one.key for one in scene.read(archive.listed)]


def test_what_quotes_an_erased_payload_goes_and_what_was_counted_stays(scene: Scene) -> None:
    scene.add("a", DAY)
    note(scene, "a")
    scene.archive().erase("a", "ann", "asked for")
    stored = scene.stored("a")
    assert (stored.url, stored.peer) == ("http://t/x", "")
    rows = scene.read(lambda c: [*c.execute(select(outcomes)), *c.execute(select(failures))])
    assert "quoted-17" not in repr(rows)
    assert rows[0].commands == 1
    assert (rows[1].code, rows[1].data["message"]) == ("unmapped", "(erased)")


def test_erasing_again_is_told_apart(scene: Scene) -> None:
    scene.add("a", DAY)
    assert scene.archive().erase("a", "ann", "x") is True
    assert scene.archive().erase("a", "ann", "x") is False


def test_what_is_not_there_or_in_flight_cannot_be_erased(scene: Scene) -> None:
    scene.add("f", DAY)
    scene.write(lambda c: c.execute(insert(in_flight).values(delivery="f", owner="x", lease_until=NOW, attempts=1)))
    for id in ("f", "nowhere"):
        with pytest.raises(NotErasable):
            scene.archive().erase(id, "ann", "x")


@pytest.mark.parametrize("where", ["object", "segment"])
@pytest.mark.parametrize("at", range(1, 17))
def test_an_erasure_that_ends_anywhere_is_finished_by_the_next(scene: Scene, where: str, at: int) -> None:
    for id in ("a1", "a2", "a3"):
        scene.add(id, DAY, large=where == "object")
    if where == "segment":
        list(scene.archive().run(NOW))
    scene.steps, scene.crash_at = 0, at
    try:
        scene.archive("one").erase("a2", "ann", "asked for")
    except Crashed:
        assert {id: scene.payload(id) for id in ("a1", "a3")} == {id: scene.put[id] for id in ("a1", "a3")}
    scene.crash_at, scene.now = None, NOW + timedelta(hours=1)
    scene.archive("two").erase("a2", "ann", "asked for")
    with pytest.raises(PayloadErased):
        scene.payload("a2")
    body = scene.put["a2"][2]
    assert not any(body in f.read_bytes() for f in (scene.folder / "objects").rglob("*") if f.is_file())
    assert {id: scene.payload(id) for id in ("a1", "a3")} == {id: scene.put[id] for id in ("a1", "a3")}
    assert len(scene.read(lambda c: c.execute(select(audit.c.id)).all())) == 1


def test_a_run_after_an_erasure_archives_nothing_of_it(scene: Scene) -> None:
    scene.add("a", DAY)
    scene.archive().erase("a", "ann", "x")
    assert list(scene.archive().run(NOW)) == []
