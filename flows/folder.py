"""The data folder of the embedded set-up: one serving process at a time."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

_PATIENCE_SECONDS = 20.0
_LOOK_AGAIN_SECONDS = 0.05


class FolderInUse(Exception):
    """Another process serves from this data folder."""


class FolderLock:
    """Held by the process that serves from a data folder; the system frees it when the process ends.

    The serving process shares it with its writer process. When the one is killed, the other still writes what it
    was given: whoever comes next waits for that, but not for a process that serves.
    """

    def __init__(self, folder: Path, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Makes the folder where it is missing, readable by its owner alone. Raises FolderInUse. Blocks."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(folder / "serving.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_up = time.monotonic() + patience_seconds
        while not self._taken():
            holder = self._holder()
            if _runs(holder) or time.monotonic() > give_up:
                os.close(self._file)
                raise FolderInUse(
                    f"Another process ({holder or 'unknown'}) serves from {folder}. "
                    "Stop it, or choose another TIFFIN_DATA."
                )
            time.sleep(_LOOK_AGAIN_SECONDS)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> int:
        """The process that serves, or served; 0 where it has not said so."""
        written = os.pread(self._file, 20, 0)
        return int(written) if written.isdigit() else 0

    @property
    def file(self) -> int:
        """The descriptor that holds the lock; a process that inherits it holds the lock too."""
        return self._file

    def release(self) -> None:
        os.close(self._file)


def _runs(process: int) -> bool:
    if not process:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
