"""The write-ahead log is copied beside the writer and begins anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stores.checkpoints import FALLBACK_PAGES, Checkpoints

PATIENCE = 20.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE t (x BLOB)")
        yield connection


@pytest.fixture
def checkpoints(path: Path) -> Iterator[Checkpoints]:
    checkpoints = Checkpoints(str(path), every=3)
    checkpoints.start()
    yield checkpoints
    checkpoints.stop()


def write(connection: sqlite3.Connection, checkpoints: Checkpoints) -> None:
    connection.execute("INSERT INTO t VALUES (randomblob(20000))")
    checkpoints.committed(connection)


def pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """(pages in the log, of which copied)"""
    _, log, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return log, copied


def test_nothing_is_copied_before_so_many_commits(connection: sqlite3.Connection, checkpoints: Checkpoints) -> None:
    write(connection, checkpoints)
    write(connection, checkpoints)
    assert not checkpoints.copied.is_set()


def test_the_log_is_copied_beside_the_writer(connection: sqlite3.Connection, checkpoints: Checkpoints) -> None:
    for _ in range(3):
        write(connection, checkpoints)
    assert checkpoints.copied.wait(PATIENCE)


def test_the_log_s_file_does_not_grow_while_there_is_no_pause(
    connection: sqlite3.Connection, checkpoints: Checkpoints, path: Path
) -> None:
    sizes = []
    for _ in range(20):
        for _ in range(3):
            write(connection, checkpoints)
        assert checkpoints.copied.wait(PATIENCE)
        write(connection, checkpoints)
        sizes.append((path.parent / "x.db-wal").stat().st_size)
    assert max(sizes[5:]) <= 2 * max(sizes[:5])


def test_sqlite_copies_by_itself_where_the_log_has_grown_all_the_same(
    connection: sqlite3.Connection, checkpoints: Checkpoints
) -> None:
    checkpoints.opened(connection)
    assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (FALLBACK_PAGES,)


def test_a_database_that_cannot_be_copied_is_tried_again(path: Path) -> None:
    checkpoints = Checkpoints(str(path / "missing" / "x.db"), every=1)
    checkpoints.start()
    with closing(sqlite3.connect(":memory:")) as connection:
        for _ in range(3):
            checkpoints.committed(connection)
    checkpoints.stop()
    assert not checkpoints.copied.is_set()
