"""How many commands each entity of a file has had: the second one of an entity has a key of its own.

A file of a million rows names a million entities, so each is held as 8 bytes, and written behind one another to a
file beside the job's, from which a resumed job reads them again.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_EMPTY = 0
_WORD = 8


class Fingerprints:
    """A set of 64-bit numbers, 8 to 16 bytes each."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(_WORD << 12))
        self._count = 0

    def __contains__(self, value: int) -> bool:
        slots, mask = self._slots, len(self._slots) - 1
        at = value & mask
        while held := slots[at]:
            if held == value:
                return True
            at = (at + 1) & mask
        return False

    def add(self, value: int) -> bool:
        """Whether it was not there before. 0 stands for an empty place, and is never given."""
        slots, mask = self._slots, len(self._slots) - 1
        at = value & mask
        while held := slots[at]:
            if held == value:
                return False
            at = (at + 1) & mask
        slots[at] = value
        self._count += 1
        if 2 * self._count > len(slots):
            self._grow()
        return True

    def _grow(self) -> None:
        old = self._slots
        self._slots, self._count = array("Q", bytes(2 * _WORD * len(old))), 0
        slots, mask = self._slots, len(self._slots) - 1
        for value in old:
            if value:
                at = value & mask
                while slots[at]:
                    at = (at + 1) & mask
                slots[at] = value
                self._count += 1


def fingerprint(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=_WORD).digest(), "little") or 1


class Counts(dict[str, int]):
    """The counts of one rule in one chunk, which begin where the chunks before ended."""

    def __init__(self, rule: str, before: Occurrences) -> None:
        super().__init__()
        self._rule, self._before = rule.encode() + b"\0", before
        self._marks: dict[str, tuple[int, int]] = {}

    def get(self, named: str, default: Any = 0) -> Any:
        if (own := super().get(named)) is not None:
            return own
        mark = fingerprint(self._rule + named.encode("utf-8", "surrogatepass"))
        count = self._before.count(mark)
        self._marks[named] = (mark, count)
        return count

    def added(self) -> Iterable[int]:
        """Each entity's fingerprint, as often as the chunk counted it."""
        for named, (mark, before) in self._marks.items():
            for _ in range(self[named] - before):
                yield mark


class Occurrences:
    """The counts of a whole file, as far as it is read."""

    def __init__(self, path: Path, length: int) -> None:
        """`length` is how many bytes of the file at `path` stand for what is committed."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, length)
        self.length = length
        self._once, self._more = Fingerprints(), dict[int, int]()
        self._chunk: list[Counts] = []
        at = 0
        while block := os.pread(self._file, 1 << 20, at):
            self._count_all(array("Q", block))
            at += len(block)

    def count(self, mark: int) -> int:
        return self._more.get(mark, 1) if mark in self._once else 0

    def begin(self) -> None:
        """Forgets a chunk that was not kept."""
        self._chunk = []

    def of_rule(self, rule: str) -> dict[str, int]:
        counts = Counts(rule, self)
        self._chunk.append(counts)
        return counts

    def store(self) -> int:
        """Makes the chunk's counts durable; returns the length to commit with them."""
        marks = array("Q", [mark for counts in self._chunk for mark in counts.added()])
        if marks:
            os.pwrite(self._file, marks.tobytes(), self.length)
            os.fdatasync(self._file)
        return self.length + _WORD * len(marks)

    def keep(self, length: int) -> None:
        """Counts the chunk in, once it is committed."""
        for counts in self._chunk:
            self._count_all(counts.added())
        self._chunk, self.length = [], length

    def _count_all(self, marks: Iterable[int]) -> None:
        for mark in marks:
            if not self._once.add(mark):
                self._more[mark] = self._more.get(mark, 1) + 1

    def close(self) -> None:
        os.close(self._file)
