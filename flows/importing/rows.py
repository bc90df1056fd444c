"""What the readers of files give: rows one by one, and the document that stands round them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from engine.decoding.refusals import refusal
from engine.failures import Failure

LINE_LIMIT = 1 << 20
"""The longest line, or element of a list, in bytes or characters: a row is held whole, and never more."""
HEAD_LIMIT = 1 << 20
"""The most bytes of what stands round the rows of a JSON or XML document."""
_BLOCK = 1 << 18


class Row(NamedTuple):
    """A row. `number` is where it stands as its sender counts: the line, the row of the sheet, or the element from 1.
    `failure` is set where it cannot be read."""

    number: int
    value: Any
    failure: Failure | None = None


class Source(NamedTuple):
    """A file's rows, and where they stand: the list at `path` of a document. `head` is that document without the
    list, `later` the same for every chunk but the first."""

    path: tuple[str, ...]
    head: Any
    later: Any
    rows: Iterator[Row]

    def document(self, rows: list[Any], first: bool) -> Any:
        """The document that the rules read: what stands round the rows, and these rows."""
        return placed(self.head if first else self.later, self.path, rows)


def placed(document: Any, path: tuple[str, ...], rows: list[Any]) -> Any:
    """A document with a list at a path; only what lies on the path is copied."""
    if not path:
        return rows
    inner = document.get(path[0]) if isinstance(document, dict) else None
    around = document if isinstance(document, dict) else {}
    return {**around, path[0]: placed(inner, path[1:], rows)}


class Spooled:
    """A file on disk that is read from its beginning to its end. `at` is how many of its bytes were read."""

    def __init__(self, path: Path, gzip: bool, expanded: int) -> None:
        """`expanded` is the most bytes that a compressed file may come to."""
        self.path, self._gzip, self._expanded = path, gzip, expanded
        self.at = 0

    def open(self) -> BinaryIO:
        """The file's bytes, expanded where it is compressed."""
        return io.BufferedReader(_Reader(self), _BLOCK)

    def blocks(self) -> Iterator[bytes]:
        self.at = 0
        with self.path.open("rb") as file:
            if not self._gzip:
                while block := file.read(_BLOCK):
                    self.at += len(block)
                    yield block
                return
            yield from self._unzipped(file)

    def _unzipped(self, file: BinaryIO) -> Iterator[bytes]:
        unzip, total = zlib.decompressobj(wbits=31), 0
        try:
            while block := file.read(_BLOCK):
                self.at += len(block)
                while block:
                    out = unzip.decompress(block, _BLOCK)
                    total += len(out)
                    if total > self._expanded:
                        raise refusal(
                            "body_too_large",
                            f"The file expands to more than {self._expanded} bytes.",
                            "Send it in smaller parts, or raise TIFFIN_IMPORT_BYTES.",
                        )
                    if out:
                        yield out
                    block = unzip.unconsumed_tail
                    if unzip.eof:
                        block = unzip.unused_data
                        if not block:
                            break
                        unzip = zlib.decompressobj(wbits=31)
        except zlib.error:
            raise _damaged() from None
        if not unzip.eof:
            raise _damaged()


def _damaged() -> Exception:
    return refusal("body_not_gzip", "The file is not gzip, or it ends too early.", "Compress and send it again.")


class _Reader(io.RawIOBase):
    def __init__(self, spooled: Spooled) -> None:
        self._blocks, self._left = spooled.blocks(), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = memoryview(block)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def line_too_long(number: int) -> Exception:
    return refusal(
        "body_line_too_long",
        f"Line {number} is longer than {LINE_LIMIT} characters.",
        "Check that the file has the format that it is said to have, and lines that end.",
        line=number,
    )


def element_too_long(number: int) -> Exception:
    return refusal(
        "body_element_too_long",
        f"Element {number} is longer than {LINE_LIMIT} bytes.",
        "Check that the rules' each names the list whose elements are the rows.",
        element=number,
    )


def head_too_long() -> Exception:
    return refusal(
        "body_head_too_long",
        f"What stands round the list of rows is longer than {HEAD_LIMIT} bytes.",
        "Let the rules' each name the longest list of the document, or send the lists in files of their own.",
    )
