"""The embedded log: topics of one partition each in an SQLite file of its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from bus.messages import BusUnavailable, Message, PublishError, Stored

# A message's rowid is its topic's number and its offset in one integer: no second index is needed.
OFFSET_BITS = 40

SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS messages (
    position INTEGER PRIMARY KEY, topic INTEGER NOT NULL, id TEXT NOT NULL,
    key BLOB NOT NULL, value BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS messages_id ON messages (topic, id);
"""
INSERT = "INSERT INTO messages (position, topic, id, key, value) VALUES (?, ?, ?, ?, ?)"
KNOWN = "SELECT id, key, value FROM messages WHERE topic = ? AND id IN (SELECT value FROM json_each(?))"
LAST = "SELECT max(position) FROM messages WHERE position >= ? AND position < ?"
READ = """
SELECT position, id, key, value FROM messages
WHERE position >= ? AND position < ? ORDER BY position LIMIT ?
"""
TOPIC = "SELECT number FROM topics WHERE name = ?"
NEW_TOPIC = "INSERT INTO topics (name) VALUES (?) RETURNING number"


class EmbeddedLog:
    """A bus in one SQLite file, durable when `publish` returns (WAL, synchronous FULL).

    Offsets are dense from 0. An id stands once in a topic: appending it again with the same content is
    reported as success and changes nothing; with other content it is reported as `conflicting_id`. Two
    events have the same content when their bytes, or their key, `type`, `subject` and `data`, are equal:
    the other attributes tell about the attempt that wrote them. Several processes may read and append.
    """

    def __init__(self, path: Path, busy_timeout: float = 10.0) -> None:
        """Opens or creates the file. `busy_timeout` is how many seconds to wait for another process."""
        self._path, self._busy_timeout = path, busy_timeout
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._numbers: dict[str, int] = {}
        with _reported():
            self._writer = self._connect()
            self._writer.executescript(SCHEMA)
            self._reader = self._connect()
            self._reader.execute("PRAGMA query_only = 1")

    def publish(self, topic: str, messages: Sequence[Message]) -> list[PublishError | None]:
        """Appends messages in one transaction. See `Bus.publish`."""
        with self._write_lock, _reported(), _transaction(self._writer):
            return self._append(self._topic_number(topic), messages)

    def read(self, topic: str, offset: int, max: int, partition: int = 0) -> list[Stored]:
        """See `Bus.read`."""
        with self._read_lock, _reported():
            base = self._base(topic)
            if base is None or partition != 0:
                return []
            rows = self._reader.execute(READ, (base + offset, base + (1 << OFFSET_BITS), max)).fetchall()
        return [Stored(position - base, id, key, value) for position, id, key, value in rows]

    def end_offset(self, topic: str, partition: int = 0) -> int:
        """See `Bus.end_offset`. A topic that nobody wrote to ends at 0."""
        with self._read_lock, _reported():
            base = self._base(topic)
            return 0 if base is None else _end(self._reader, base) - base

    def partitions(self, topic: str) -> int:
        """Always 1."""
        return 1

    def close(self) -> None:
        """Closes the file."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _append(self, number: int, messages: Sequence[Message]) -> list[PublishError | None]:
        try:
            self._insert(number, messages)
            return [None] * len(messages)
        except sqlite3.IntegrityError:
            return self._append_fresh(number, messages)

    def _append_fresh(self, number: int, messages: Sequence[Message]) -> list[PublishError | None]:
        """Appends what is not there yet; what the refused insert got through is there, in order."""
        known = self._known(number, messages)
        fresh: list[Message] = []
        reports: list[PublishError | None] = []
        for message in messages:
            stands = known.setdefault(message.id, message)
            if stands is message:
                fresh.append(message)
            reports.append(None if _same(stands, message) else _conflict(message))
        self._insert(number, fresh)
        return reports

    def _insert(self, number: int, messages: Sequence[Message]) -> None:
        end = _end(self._writer, number << OFFSET_BITS)
        rows = [(position, number, m.id, m.key, m.value) for position, m in enumerate(messages, end)]
        self._writer.executemany(INSERT, rows)

    def _known(self, number: int, messages: Sequence[Message]) -> dict[str, Message]:
        ids = orjson.dumps([message.id for message in messages]).decode()
        return {row[0]: Message(*row) for row in self._writer.execute(KNOWN, (number, ids))}

    def _topic_number(self, topic: str) -> int:
        row = self._writer.execute(TOPIC, (topic,)).fetchone()
        return int((row or self._writer.execute(NEW_TOPIC, (topic,)).fetchone())[0])

    def _base(self, topic: str) -> int | None:
        if topic not in self._numbers:
            row = self._reader.execute(TOPIC, (topic,)).fetchone()
            if row is None:
                return None
            self._numbers[topic] = row[0]
        return self._numbers[topic] << OFFSET_BITS


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BusUnavailable(f"the embedded log cannot be used: {error}") from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _end(connection: sqlite3.Connection, base: int) -> int:
    (last,) = connection.execute(LAST, (base, base + (1 << OFFSET_BITS))).fetchone()
    return base if last is None else int(last) + 1


def _same(one: Message, other: Message) -> bool:
    if one.key != other.key:
        return False
    return one.value == other.value or _content(one.value) == _content(other.value)


def _content(value: bytes) -> Any:
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    if not isinstance(event, dict):
        return value
    content = [event.get("type"), event.get("subject"), event.get("data")]
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def _conflict(message: Message) -> PublishError:
    return PublishError(
        "conflicting_id", f"an event with other content already has the id {message.id}", permanent=True
    )
