"""Makes the views again from the log and compares: what stands must be what the log says.

The log is replayed into a database of its own, as far as the views have read it, so readers and the running
projection notice nothing. Where the hashes differ, the rebuilt views take the place of what stands, in one
transaction that first looks whether the projection has moved on. No event goes out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from bus.messages import Bus
from bus.topics import CATALOG_COMMANDS
from flows.project import as_command, project, standing
from stores import views
from stores.database import Database, open_database
from stores.schema_version import bring_up_to_date

AT_ONCE = 2000
MOST_CATCHES = 20

Transaction = Callable[[], AbstractContextManager[Connection]]


class LogTruncated(Exception):
    """The log no longer begins at its beginning: views made from it would lack what is gone."""


class NeverStill(Exception):
    """The projection moved on whenever the rebuilt views had caught up."""


class Rebuilt(NamedTuple):
    """What a rebuild found: hashes of what stood and of what the log gives, and whether that took its place."""

    stood: str
    log: str
    commands: int
    replaced: bool

    @property
    def same(self) -> bool:
        return self.stood == self.log


def rebuild(bus: Bus, folder: Path, reading: Transaction, writing: Transaction, *, replace: bool = True) -> Rebuilt:
    """Replays `catalog.commands` and compares. `folder` takes the database that it is replayed into.

    `replace` False only compares. Raises BusUnavailable, LogTruncated and NeverStill.
    """
    _refuse_truncated(bus)
    with tempfile.TemporaryDirectory(prefix="rebuild-", dir=folder) as scratch:
        made = open_database(f"sqlite:///{Path(scratch) / 'views.db'}")
        try:
            bring_up_to_date(made)
            return _rebuild(bus, made, reading, writing, replace)
        finally:
            made.close()


def _rebuild(bus: Bus, made: Database, reading: Transaction, writing: Transaction, replace: bool) -> Rebuilt:
    count = 0
    for _ in range(MOST_CATCHES):
        with reading() as live:
            until, stood = views.offsets(live), views.view_hash(live)
            moved = views.offsets(live) != until
        count += _replay(bus, made, until)
        with made.engine.connect() as rebuilt:
            log = views.view_hash(rebuilt)
        if log == stood and not moved:
            return Rebuilt(stood, log, count, False)
        if not replace and not moved:
            return Rebuilt(stood, log, count, False)
        with writing() as live, made.engine.connect() as rebuilt:
            if views.offsets(live, lock=True) == until:
                views.replace(live, rebuilt)
                return Rebuilt(stood, log, count, True)
    raise NeverStill("The projection moved on each time. Rebuild at a calmer time, or stop the workers first.")


def _replay(bus: Bus, made: Database, until: dict[int, int]) -> int:
    """Replays every partition up to its offset; returns how many messages that took."""
    count = 0
    with made.engine.connect() as connection:
        done = views.offsets(connection)
    for partition, end in sorted(until.items()):
        offset = done.get(partition, 0)
        while offset < end:
            messages = bus.read(CATALOG_COMMANDS, offset, min(AT_ONCE, end - offset), partition)
            messages = [message for message in messages if message.offset < end]
            if not messages:
                break
            with made.engine.connect().execution_options(writing=True) as connection, connection.begin():
                commands = [as_command(message) for message in messages]
                known = standing(connection, [command for command in commands if command is not None])
                batch = project(list(zip(messages, commands, strict=True)), known, {partition: offset})
                views.advance(connection, batch.moves)
                views.save(connection, batch.entities, batch.marks)
            offset = messages[-1].offset + 1
            count += len(messages)
    return count


def _refuse_truncated(bus: Bus) -> None:
    for partition in range(bus.partitions(CATALOG_COMMANDS)):
        first = bus.read(CATALOG_COMMANDS, 0, 1, partition)
        if first and first[0].offset > 0:
            raise LogTruncated(
                f"Partition {partition} of {CATALOG_COMMANDS} begins at offset {first[0].offset}: older commands are "
                "gone, and views made from the rest would lack them. Keep the topic for ever to be able to rebuild."
            )
