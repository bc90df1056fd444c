"""The embedded log: topics of one partition each in an SQLite file of its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson

from bus.messages import BusUnavailable, Message, PublishError, Stored

# A row's rowid is its topic's number and its first message's offset in one integer: no second index is needed.
OFFSET_BITS = 40

SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS messages (
    position INTEGER PRIMARY KEY, topic INTEGER NOT NULL, id TEXT NOT NULL,
    key BLOB NOT NULL, value BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS messages_id ON messages (topic, id);
"""
# Logs of the first form have one message a row.
COLUMNS = "SELECT count(*) FROM pragma_table_info('messages') WHERE name = 'ids'"
UNITS = """
ALTER TABLE messages ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE messages ADD COLUMN ids TEXT NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN sizes TEXT NOT NULL DEFAULT '';
"""
INSERT = "INSERT INTO messages (position, topic, id, key, value, count, ids, sizes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
KNOWN = """
SELECT position, id, key, value, count, ids, sizes FROM messages
WHERE topic = ? AND id IN (SELECT value FROM json_each(?))
"""
LAST = "SELECT position + count FROM messages WHERE position >= ? AND position < ? ORDER BY position DESC LIMIT 1"
HOLDING = "SELECT max(position) FROM messages WHERE position >= ? AND position <= ?"
READ = """
SELECT position, id, key, value, count, ids, sizes FROM messages
WHERE position >= ? AND position < ? ORDER BY position LIMIT ?
"""
TOPIC = "SELECT number FROM topics WHERE name = ?"
NEW_TOPIC = "INSERT INTO topics (name) VALUES (?) RETURNING number"
_SINGLE = ("", "")


class EmbeddedLog:
    """A bus in one SQLite file, durable when `publish` returns (WAL, synchronous FULL).

    Offsets are dense from 0. Messages of one unit (see `Message`) are one row, found by the unit's first id.
    That id stands once in a topic: appending it again with the same content is reported as success and changes
    nothing; with other content it is reported as `conflicting_id`. Two events have the same content when their
    bytes, or their key, `type`, `subject` and `data`, are equal: the other attributes tell about the attempt
    that wrote them. Several processes may read and append.
    """

    def __init__(self, path: Path, busy_timeout: float = 10.0) -> None:
        """Opens or creates the file. `busy_timeout` is how many seconds to wait for another process."""
        self._path, self._busy_timeout = path, busy_timeout
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        self._numbers: dict[str, int] = {}
        with _reported():
            self._writer = self._connect()
            self._writer.executescript(SCHEMA)
            if not self._writer.execute(COLUMNS).fetchone()[0]:
                self._widen()
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
            (first,) = self._reader.execute(HOLDING, (base, base + offset)).fetchone()
            start = base + offset if first is None else first
            rows = self._reader.execute(READ, (start, base + (1 << OFFSET_BITS), max + 1))
            return _messages(rows, base, offset, max)

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
        # Fewer, larger checkpoints: pages that every batch touches are copied once.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        return connection

    def _widen(self) -> None:
        """Brings a log of the first form up to date. Another process may be about it at the same time."""
        with _transaction(self._writer):
            if not self._writer.execute(COLUMNS).fetchone()[0]:
                for statement in UNITS.strip().splitlines():
                    self._writer.execute(statement)

    def _append(self, number: int, messages: Sequence[Message]) -> list[PublishError | None]:
        units = _units(messages)
        try:
            self._insert(number, units)
            return [None] * len(messages)
        except sqlite3.IntegrityError:
            return self._append_fresh(number, units)

    def _append_fresh(self, number: int, units: Sequence[Sequence[Message]]) -> list[PublishError | None]:
        """Appends what is not there yet; what the refused insert got through is there, in order."""
        known = self._known(number, units)
        fresh: list[Sequence[Message]] = []
        reports: list[PublishError | None] = []
        for unit in units:
            if unit[0].id not in known:
                fresh.append(unit)
                known[unit[0].id] = {message.id: message for message in unit}
            standing = known[unit[0].id]
            for message in unit:
                stands = standing.get(message.id)
                if stands is None:
                    fresh.append((message,))
                    standing[message.id] = stands = message
                reports.append(None if _same(stands, message) else _conflict(message))
        self._insert(number, fresh)
        return reports

    def _insert(self, number: int, units: Sequence[Sequence[Message]]) -> None:
        position = _end(self._writer, number << OFFSET_BITS)
        rows = []
        for unit in units:
            id, key, value, _ = unit[0]
            if len(unit) == 1:
                rows.append((position, number, id, key, value, 1, *_SINGLE))
            else:
                values = [message.value for message in unit]
                ids = orjson.dumps([message.id for message in unit]).decode()
                sizes = orjson.dumps([len(value) for value in values]).decode()
                rows.append((position, number, id, key, b"".join(values), len(unit), ids, sizes))
            position += len(unit)
        self._writer.executemany(INSERT, rows)

    def _known(self, number: int, units: Sequence[Sequence[Message]]) -> dict[str, dict[str, Message]]:
        """The messages that stand, by the first id of their unit and by their own."""
        ids = orjson.dumps([unit[0].id for unit in units]).decode()
        known: dict[str, dict[str, Message]] = {}
        for row in self._writer.execute(KNOWN, (number, ids)):
            stored = _messages([row], row[0], 0, row[4])
            known[row[1]] = {one.id: Message(one.id, one.key, one.value) for one in stored}
        return known

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
    row = connection.execute(LAST, (base, base + (1 << OFFSET_BITS))).fetchone()
    return base if row is None else int(row[0])


def _units(messages: Sequence[Message]) -> list[Sequence[Message]]:
    """The messages by unit: one that is `joined` to that before it, under the same key, is of the same."""
    units: list[Sequence[Message]] = []
    unit: list[Message] = []
    for message in messages:
        if message.joined and unit and unit[0].key == message.key:
            unit.append(message)
        else:
            unit = [message]
            units.append(unit)
    return units


def _messages(rows: Iterable[tuple[Any, ...]], base: int, offset: int, most: int) -> list[Stored]:
    """The messages of rows from an offset on, `most` at the most."""
    found: list[Stored] = []
    for position, id, key, value, count, ids, sizes in rows:
        at = position - base
        if count == 1:
            # The row before the first wanted one comes along.
            if at >= offset:
                found.append(Stored(at, id, key, value))
        else:
            ends = list(accumulate(orjson.loads(sizes), initial=0))
            parts = zip(orjson.loads(ids), ends, ends[1:], strict=False)
            found += [Stored(n, one, key, value[a:b]) for n, (one, a, b) in enumerate(parts, at) if n >= offset]
        if len(found) >= most:
            break
    return found[:most]


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
