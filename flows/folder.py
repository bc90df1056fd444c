"""The data folder of the embedded set-up: one serving process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FolderInUse(Exception):
    """Another process serves from this data folder."""


class FolderLock:
    """Held by the process that serves from a data folder; the system frees it when the process ends."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder where it is missing, readable by its owner alone. Raises FolderInUse."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(folder / "serving.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise FolderInUse(
                f"Another process serves from {folder}. Stop it, or choose another TIFFIN_DATA."
            ) from None

    @property
    def file(self) -> int:
        """The descriptor that holds the lock; a process that inherits it holds the lock too."""
        return self._file

    def release(self) -> None:
        os.close(self._file)
