"""Where the files of import jobs stand: a folder beside the database, a file a job."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType

from flows.importing.rows import Spooled
from stores.imports import Job

_BLOCK = 1 << 20


class Spool:
    """The files of a data folder. `expanded` is the most bytes that a compressed file may come to."""

    def __init__(self, data: Path, expanded: int) -> None:
        self.folder, self.expanded = data / "imports", expanded

    def path(self, id: str) -> Path:
        return self.folder / f"{id}.file"

    def seen(self, id: str) -> Path:
        return self.folder / f"{id}.seen"

    def opened(self, job: Job, gzip: bool) -> Spooled:
        return Spooled(self.path(job.id), gzip, self.expanded)

    def incoming(self) -> Incoming:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Incoming(self)

    def drop(self, id: str) -> None:
        self.path(id).unlink(missing_ok=True)
        self.seen(id).unlink(missing_ok=True)

    def sweep(self, before: float) -> None:
        """Removes files that never became a job's and were last written before a time, in seconds since 1970."""
        for path in self.folder.glob("*.part"):
            if path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


class Incoming:
    """A file on its way in: written, hashed, then kept under a job's id. What is not kept is removed."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._path = spool.folder / f"{secrets.token_hex(16)}.part"
        self._hash = hashlib.sha256()
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self.size = 0
        self.opening = b""

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        os.close(self._fd)
        self._path.unlink(missing_ok=True)

    def write(self, block: bytes) -> None:
        if len(self.opening) < 512:
            self.opening += block[:512]
        left = memoryview(block)
        while left:
            left = left[os.write(self._fd, left) :]
        self._hash.update(block)
        self.size += len(block)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        at = 0
        while block := os.pread(self._fd, _BLOCK, at):
            yield block
            at += len(block)

    def keep(self, id: str) -> None:
        """Makes it durable under the id."""
        os.fsync(self._fd)
        os.rename(self._path, self._spool.path(id))
        folder = os.open(self._spool.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def job_id(received_at: datetime) -> str:
    """An id as deliveries have them: who holds it may read the job."""
    return f"{int(received_at.timestamp() * 1000):012x}{secrets.token_hex(16)}"
