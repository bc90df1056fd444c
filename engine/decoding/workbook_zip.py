"""Whether the zip file of a workbook may be opened: looked at before anything in it is expanded far.

Entries, sizes and ratios are bounded by the zip's directory, which the zip reader keeps to; parts of XML
must be UTF-8 without document types, so that no parser behind ever meets an entity.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from engine.decoding.refusals import refusal
from engine.failures import Refusal

ENTRIES_LIMIT = 2_000
RATIO_LIMIT = 200
"""The most times its size that an entry may expand to; sheets of one repeated row come to some 60."""
EXPANDED_TIMES = 12
"""The most times the limit of a body that a workbook may expand to in all."""

_SMALL = 1_000_000
_CHUNK = 65_536
_MOST_TAGS = 16_384 * 8
"""What a row of all columns may hold: a row is read as one piece."""
_DECLARED = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]*)["']""")
_FORBIDDEN = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_SAVE = "Save the table again as an Excel workbook (.xlsx) without password, and send that."


def open_zip(body: bytes | BinaryIO, limit: int) -> zipfile.ZipFile:
    """The zip file, whose entries expand to at most `limit` bytes together. Raises Refusal."""
    file = io.BytesIO(body) if isinstance(body, bytes) else body
    opening = file.read(8)
    file.seek(0)
    if opening == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise refusal("xlsx_malformed", "The workbook has a password, or the old format .xls.", _SAVE)
    try:
        archive = zipfile.ZipFile(file)
        entries = archive.infolist()
        _check_sizes(entries, limit)
        for entry in entries:
            if not entry.filename.startswith("xl/media/"):
                _check_xml(archive, entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError):
        raise malformed() from None
    return archive


def malformed() -> Refusal:
    return refusal("xlsx_malformed", "The body is not a workbook that can be read.", _SAVE)


def _check_sizes(entries: list[zipfile.ZipInfo], limit: int) -> None:
    most = f"{len(entries)} parts"
    bomb = len(entries) > ENTRIES_LIMIT
    for entry in entries:
        if entry.file_size > _SMALL and entry.file_size > RATIO_LIMIT * entry.compress_size:
            most, bomb = f"{entry.file_size} bytes out of {entry.compress_size}", True
    total = sum(entry.file_size for entry in entries)
    if total > limit:
        most, bomb = f"{total} bytes", True
    if bomb:
        raise refusal(
            "xlsx_too_large",
            f"The workbook expands to {most}; that is more than is read.",
            "Send fewer rows, and a workbook without pictures and empty formatted cells.",
            limit=limit,
        )


def _check_xml(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    tail = b""
    first = True
    in_row = 0
    for chunk in _chunks(archive, entry):
        if first and entry.filename.lower().endswith((".xml", ".rels")):
            _check_encoding(chunk)
        first = False
        if _FORBIDDEN.search(tail + chunk):
            raise refusal("xlsx_malformed", "The workbook holds a document type declaration.", _SAVE)
        tail = chunk[-16:]
        row = chunk.rfind(b"row")
        in_row = chunk.count(b"<", max(row, 0)) + (in_row if row < 0 else 0)
        if in_row > _MOST_TAGS and entry.filename.startswith("xl/worksheets/"):
            raise refusal("xlsx_too_large", "A row of the workbook holds more cells than a sheet has columns.", _SAVE)


def _chunks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as part:
        while chunk := part.read(_CHUNK):
            yield chunk


def _check_encoding(opening: bytes) -> None:
    opening = opening.removeprefix(b"\xef\xbb\xbf")
    said = _DECLARED.match(opening)
    if opening.lstrip()[:1] not in (b"<", b"") or (said and said[1].lower() not in (b"utf-8", b"us-ascii", b"ascii")):
        raise refusal("xlsx_malformed", "The workbook is not written in UTF-8.", _SAVE)
