"""Copies SQLite's write-ahead log into the database beside the writer.

SQLite does it within a commit, once the log is long: whoever waits for that commit waits some ten milliseconds
more. Here a thread copies nearly all of it on a connection of its own, which hinders nobody; the writer then only
copies what was written meanwhile, between two commits, so that the log begins anew and its file does not grow.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from typing import Any

EVERY = 200
"""So many commits make a log worth copying."""
FALLBACK_PAGES = 40_000
"""From this length on SQLite copies within a commit all the same, 160 MB: the thread may have failed."""
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """One for each writer. `committed` is called by the writer's thread alone."""

    def __init__(self, path: str, every: int = EVERY) -> None:
        """`path` is the database's file."""
        self._path, self._every = path, every
        self._commits = 0
        self._wanted, self.copied = threading.Event(), threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()

    def opened(self, driver: Any) -> None:
        """Told of the writer's own connection, as the driver has it."""
        driver.execute(f"PRAGMA wal_autocheckpoint={FALLBACK_PAGES}")

    def committed(self, driver: Any) -> None:
        """After a commit on the writer's connection, outside a transaction."""
        self._commits += 1
        if self.copied.is_set():
            self.copied.clear()
            self._commits = 0
            with suppress(sqlite3.Error):
                driver.execute(_CHECKPOINT).fetchone()
        elif self._commits >= self._every and not self._wanted.is_set():
            self._wanted.set()

    def _work(self) -> None:
        while not self._stopping:
            self._wanted.wait()
            if self._stopping:
                return
            # A full disk or another process's lock: it is tried again with the next commits.
            with suppress(sqlite3.Error), closing(sqlite3.connect(self._path)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute(_CHECKPOINT).fetchone()
                self.copied.set()
            self._commits = 0
            self._wanted.clear()
