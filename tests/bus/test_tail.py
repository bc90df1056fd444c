from __future__ import annotations

from pathlib import Path

from bus import EmbeddedLog, Message
from bus.tail import Tail

TOPIC = "catalog.commands"


def publish(log: EmbeddedLog, *ids: str) -> None:
    log.publish(TOPIC, [Message(id, b"", b"{}") for id in ids])


def test_a_tail_from_the_end_shows_only_what_comes_later(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "bus.db")
    publish(log, "a")
    tail = Tail(log, TOPIC)
    assert tail.take(10) == []
    publish(log, "b", "c")
    assert [m.id for m in tail.take(10)] == ["b", "c"]
    assert tail.take(10) == []


def test_a_tail_from_the_beginning_takes_each_message_once(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "bus.db")
    publish(log, "a", "b", "c")
    tail = Tail(log, TOPIC, from_beginning=True)
    assert [[m.id for m in tail.take(2)] for _ in range(3)] == [["a", "b"], ["c"], []]


def test_a_tail_resumes_at_its_positions(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "bus.db")
    publish(log, "a", "b", "c")
    first = Tail(log, TOPIC, from_beginning=True)
    first.take(1)
    assert [m.id for m in Tail(log, TOPIC, resume_at=first.positions).take(10)] == ["b", "c"]
