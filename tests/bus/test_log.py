from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from bus import BusUnavailable, EmbeddedLog, Message, open_bus

TOPIC = "catalog.commands"


def message(number: int, key: bytes = b"k", **attributes: object) -> Message:
    event = {"specversion": "1.0", "id": f"id-{number}", "type": "t", "data": {"n": number}, **attributes}
    return Message(f"id-{number}", key, orjson.dumps(event))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bus.db"


@pytest.fixture
def log(path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(path)
    yield log
    log.close()


def test_messages_come_back_in_order_with_dense_offsets_from_zero(log: EmbeddedLog) -> None:
    messages = [message(n) for n in range(5)]
    assert log.publish(TOPIC, messages[:2]) == [None, None]
    assert log.publish(TOPIC, messages[2:]) == [None, None, None]
    assert [(m.offset, m.id, m.key, m.value) for m in log.read(TOPIC, 0, 10)] == [
        (n, m.id, m.key, m.value) for n, m in enumerate(messages)
    ]


def test_read_starts_at_the_offset_and_stops_at_max(log: EmbeddedLog) -> None:
    log.publish(TOPIC, [message(n) for n in range(5)])
    assert [m.offset for m in log.read(TOPIC, 1, 3)] == [1, 2, 3]


def test_topics_have_offsets_and_ids_of_their_own(log: EmbeddedLog) -> None:
    log.publish("one", [message(1), message(2)])
    assert log.publish("two", [message(2, other=True)]) == [None]
    assert (log.end_offset("one"), log.end_offset("two")) == (2, 1)
    assert [m.id for m in log.read("two", 0, 9)] == ["id-2"]


def test_a_topic_nobody_wrote_to_is_empty(log: EmbeddedLog) -> None:
    assert (log.read("none", 0, 9), log.end_offset("none"), log.partitions("none")) == ([], 0, 1)


def test_no_messages_are_no_work(log: EmbeddedLog) -> None:
    assert log.publish(TOPIC, []) == []
    assert log.end_offset(TOPIC) == 0


def test_an_id_already_there_with_the_same_bytes_is_success_and_no_second_copy(log: EmbeddedLog) -> None:
    log.publish(TOPIC, [message(1), message(2)])
    assert log.publish(TOPIC, [message(2), message(3), message(1)]) == [None, None, None]
    assert [(m.offset, m.id) for m in log.read(TOPIC, 0, 9)] == [(0, "id-1"), (1, "id-2"), (2, "id-3")]


def test_an_id_twice_in_one_call_is_stored_once(log: EmbeddedLog) -> None:
    assert log.publish(TOPIC, [message(1), message(1)]) == [None, None]
    assert log.end_offset(TOPIC) == 1


def test_other_data_under_a_known_id_is_reported_for_that_message_alone(log: EmbeddedLog) -> None:
    log.publish(TOPIC, [message(1)])
    reports = log.publish(TOPIC, [message(0), message(1, data={"n": 99}), message(2)])
    assert [report and (report.code, report.permanent) for report in reports] == [
        None,
        ("conflicting_id", True),
        None,
    ]
    assert [m.id for m in log.read(TOPIC, 0, 9)] == ["id-1", "id-0", "id-2"]
    assert log.read(TOPIC, 0, 1)[0].value == message(1).value


def test_the_same_event_under_another_key_is_a_conflict(log: EmbeddedLog) -> None:
    log.publish(TOPIC, [message(1, b"store-1")])
    (report,) = log.publish(TOPIC, [message(1, b"store-2")])
    assert report is not None
    assert report.code == "conflicting_id"


def unit(*numbers: int, key: bytes = b"k", **attributes: object) -> list[Message]:
    return [message(n, key, **attributes)._replace(joined=at > 0) for at, n in enumerate(numbers)]


def rows(path: Path) -> list[tuple[str, int]]:
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT id, count FROM messages ORDER BY position").fetchall()


def test_a_unit_is_one_row_and_its_messages_have_offsets_of_their_own(log: EmbeddedLog, path: Path) -> None:
    log.publish(TOPIC, [*unit(1, 2, 3), *unit(4), *unit(5, 6)])
    assert rows(path) == [("id-1", 3), ("id-4", 1), ("id-5", 2)]
    assert [(m.offset, m.id) for m in log.read(TOPIC, 0, 9)] == [(n, f"id-{n + 1}") for n in range(6)]
    assert [m.value for m in log.read(TOPIC, 0, 9)] == [message(n).value for n in range(1, 7)]
    assert log.end_offset(TOPIC) == 6


@pytest.mark.parametrize("first", range(7))
@pytest.mark.parametrize("most", [1, 2, 9])
def test_reading_may_begin_and_end_within_a_unit(log: EmbeddedLog, first: int, most: int) -> None:
    log.publish(TOPIC, [*unit(0, 1, 2), *unit(3), *unit(4, 5)])
    assert [m.offset for m in log.read(TOPIC, first, most)] == list(range(6))[first : first + most]


def test_joined_messages_under_another_key_begin_a_unit(log: EmbeddedLog, path: Path) -> None:
    log.publish(TOPIC, [message(1, b"one"), message(2, b"two")._replace(joined=True)])
    assert rows(path) == [("id-1", 1), ("id-2", 1)]


def test_a_unit_that_is_published_again_stands_once_whatever_it_comes_with(log: EmbeddedLog) -> None:
    log.publish(TOPIC, [*unit(1, 2), *unit(3, 4)])
    assert log.publish(TOPIC, [*unit(3, 4), *unit(5, 6)]) == [None] * 4
    assert [m.id for m in log.read(TOPIC, 0, 9)] == [f"id-{n}" for n in range(1, 7)]


def test_a_message_of_a_unit_with_other_content_is_reported_alone(log: EmbeddedLog) -> None:
    log.publish(TOPIC, unit(1, 2, 3))
    again = [message(1), message(2, data={"n": 99})._replace(joined=True), message(3)._replace(joined=True)]
    assert [report and report.code for report in log.publish(TOPIC, again)] == [None, "conflicting_id", None]
    assert log.end_offset(TOPIC) == 3


def test_a_unit_that_has_grown_adds_what_is_new(log: EmbeddedLog) -> None:
    log.publish(TOPIC, unit(1, 2))
    assert log.publish(TOPIC, unit(1, 2, 3)) == [None] * 3
    assert [m.id for m in log.read(TOPIC, 0, 9)] == ["id-1", "id-2", "id-3"]


def test_a_log_of_the_first_form_is_read_and_appended_to(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE topics (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
            CREATE TABLE messages (
                position INTEGER PRIMARY KEY, topic INTEGER NOT NULL, id TEXT NOT NULL,
                key BLOB NOT NULL, value BLOB NOT NULL);
            CREATE UNIQUE INDEX messages_id ON messages (topic, id);
            INSERT INTO topics VALUES (1, 'catalog.commands');
        """)
        old = [(1 << 40 | n, 1, f"id-{n}", b"k", message(n).value) for n in range(3)]
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", old)
    connection.close()
    log = EmbeddedLog(path)
    log.publish(TOPIC, [*unit(2), *unit(3, 4)])
    assert [(m.offset, m.id, m.value) for m in log.read(TOPIC, 0, 9)] == [
        (n, f"id-{n}", message(n).value) for n in range(5)
    ]
    log.close()


def test_attributes_that_tell_about_the_attempt_make_no_other_content(log: EmbeddedLog) -> None:
    log.publish(TOPIC, [message(1, specrevision="1")])
    assert log.publish(TOPIC, [message(1, specrevision="2")]) == [None]
    assert log.end_offset(TOPIC) == 1


@pytest.mark.parametrize("attribute", ["type", "subject"])
def test_another_type_or_subject_is_other_content(log: EmbeddedLog, attribute: str) -> None:
    log.publish(TOPIC, [message(1)])
    (report,) = log.publish(TOPIC, [message(1, **{attribute: "other"})])
    assert report is not None


def test_a_value_that_is_no_json_conflicts_unless_its_bytes_are_equal(log: EmbeddedLog) -> None:
    log.publish(TOPIC, [Message("a", b"", b"\xff")])
    reports = log.publish(TOPIC, [Message("a", b"", b"\xff"), Message("a", b"", b"\xfe")])
    assert [report is None for report in reports] == [True, False]


def test_what_was_published_is_there_after_reopening(path: Path) -> None:
    first = EmbeddedLog(path)
    first.publish(TOPIC, [message(1)])
    first.close()
    second = EmbeddedLog(path)
    assert second.publish(TOPIC, [message(1), message(2)]) == [None, None]
    assert [m.id for m in second.read(TOPIC, 0, 9)] == ["id-1", "id-2"]
    second.close()


def test_the_file_is_in_wal_mode_with_synchronous_full(log: EmbeddedLog) -> None:
    assert log._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert log._writer.execute("PRAGMA synchronous").fetchone() == (2,)


def test_another_process_reads_what_this_one_published(log: EmbeddedLog, path: Path) -> None:
    log.publish(TOPIC, [message(1), message(2)])
    program = (
        "import sys; from pathlib import Path; from bus import EmbeddedLog;"
        "print(*[m.id for m in EmbeddedLog(Path(sys.argv[1])).read(sys.argv[2], 0, 9)])"
    )
    command = [sys.executable, "-c", program, str(path), TOPIC]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.split() == ["id-1", "id-2"]


def test_two_handles_that_append_at_once_leave_no_gap_and_no_second_copy(path: Path, log: EmbeddedLog) -> None:
    other, barrier = EmbeddedLog(path), threading.Barrier(2)

    def append(to: EmbeddedLog) -> None:
        barrier.wait(10)
        for n in range(20):
            assert to.publish(TOPIC, [message(n)]) == [None]

    threads = [threading.Thread(target=append, args=(to,)) for to in (log, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    stored = log.read(TOPIC, 0, 100)
    assert [m.offset for m in stored] == list(range(20))
    assert {m.id for m in stored} == {f"id-{n}" for n in range(20)}
    other.close()


def test_a_reader_sees_each_batch_as_soon_as_it_is_published(path: Path, log: EmbeddedLog) -> None:
    reader, barrier, seen = EmbeddedLog(path), threading.Barrier(2), []

    def follow() -> None:
        for _ in range(3):
            barrier.wait(10)
            seen.append([m.id for m in reader.read(TOPIC, len(seen), 9)])
            barrier.wait(10)

    thread = threading.Thread(target=follow)
    thread.start()
    for n in range(3):
        log.publish(TOPIC, [message(n)])
        barrier.wait(10)
        barrier.wait(10)
    thread.join(10)
    assert seen == [["id-0"], ["id-1"], ["id-2"]]
    reader.close()


def test_a_locked_file_is_reported_as_unavailable_and_keeps_nothing(path: Path) -> None:
    log = EmbeddedLog(path, busy_timeout=0)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(BusUnavailable):
        log.publish(TOPIC, [message(1)])
    blocker.execute("ROLLBACK")
    assert log.publish(TOPIC, [message(1)]) == [None]
    assert log.end_offset(TOPIC) == 1
    log.close()
    blocker.close()


def test_a_folder_that_is_not_there_is_reported_as_unavailable(tmp_path: Path) -> None:
    with pytest.raises(BusUnavailable):
        EmbeddedLog(tmp_path / "missing" / "bus.db")


@pytest.mark.parametrize("bootstrap", [None, ""])
def test_without_bootstrap_servers_the_bus_is_the_log_in_the_folder(tmp_path: Path, bootstrap: str | None) -> None:
    bus = open_bus(bootstrap, tmp_path)
    bus.publish(TOPIC, [message(1)])
    bus.close()
    assert (tmp_path / "bus.db").exists()
