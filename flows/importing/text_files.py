"""Tables of text (CSV, TSV) and NDJSON, line by line."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import Any

from engine.decoding import json_text
from engine.decoding.charsets import CODECS, UTF8, WIDE
from engine.decoding.column_names import column_names
from engine.decoding.refusals import refusal, shown
from engine.failures import Refusal
from engine.formats import CsvOptions, DelimitedOptions
from flows.importing.rows import LINE_LIMIT, Row, Source, Spooled, line_too_long

ROWS = ("rows",)
_QUOTES = {"double": '"', "single": "'", "none": None}


def table(file: Spooled, charset: str, options: DelimitedOptions) -> Source:
    """Raises Refusal where the header is wrong; `rows` raise it where the text cannot be read on."""
    lines = _cells(file, charset or (options.charset or "").lower(), options)
    fill = options.ragged == "fill"
    if options.skip_rows:
        for _ in range(options.skip_rows):
            next(lines, None)
    header = [cells for _, cells in (next(lines, (0, [])) for _ in range(options.header_rows))]
    if options.header_rows and not any(map(len, header)):
        raise refusal("body_empty", "The table is empty.", "Send a header row and the rows below it.")
    columns = column_names(header, options, open_end=fill)
    return Source(ROWS, {}, {}, _rows(lines, columns, fill))


def _rows(lines: Iterator[tuple[int, list[str]]], columns: list[str], fill: bool) -> Iterator[Row]:
    width = len(columns)
    for number, cells in lines:
        if len(cells) == width:
            yield Row(number, dict(zip(columns, cells, strict=True)))
        elif not any(cells):
            continue  # a blank line
        elif fill and not any(cells[width:]):
            yield Row(number, dict(zip(columns, cells, strict=False)))
        else:
            yield Row(number, None, _ragged(number, len(cells), width).failure)


def _ragged(line: int, cells: int, columns: int) -> Refusal:
    return refusal(
        "body_ragged_row",
        f"The row has {cells} cells, and the header {columns}.",
        "Give every row as many cells as the header; quote cells that hold the separator.",
        line=line,
        cells=cells,
        columns=columns,
    )


def _cells(file: Spooled, charset: str, options: DelimitedOptions) -> Iterator[tuple[int, list[str]]]:
    """Each row's cells with the line that it begins on."""
    quote = _QUOTES[options.quote]
    reader = csv.reader(
        _lines(file, charset),
        delimiter=options.separator if isinstance(options, CsvOptions) else "\t",
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise refusal(
            "body_not_table",
            f"The table cannot be read in line {line}: {error}.",
            "Quote cells that hold separators, quotes or line breaks, and double the quotes within.",
            line=line,
        ) from None


def _lines(file: Spooled, charset: str) -> Iterator[str]:
    raw = file.open()
    text = io.TextIOWrapper(raw, _codec(raw, charset), newline="")
    number = 0
    while True:
        number += 1
        try:
            line = text.readline(LINE_LIMIT)
        except UnicodeError:
            raise refusal(
                "body_wrong_charset",
                f"The file is not {charset or 'UTF-8'}: bytes in or after line {number} do not belong to it.",
                "Ask the sender for UTF-8, or for the charset parameter that its bytes are really in.",
                line=number,
            ) from None
        if not line:
            return
        if len(line) >= LINE_LIMIT and line[-1] not in "\r\n":
            raise line_too_long(number)
        if "\0" in line:
            raise refusal("body_nul", f"The table holds the character NUL in line {number}.", "Leave NUL out.")
        yield line


def _codec(raw: Any, charset: str) -> str:
    opening = raw.peek(4)[:4]
    if charset in UTF8:
        if opening[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in opening:
            raise refusal(
                "body_wrong_charset",
                "The file is UTF-16 or UTF-32, not UTF-8.",
                "Save it as UTF-8, or say charset=utf-16 in Content-Type.",
            )
        return "utf-8-sig"
    codec = CODECS.get(charset) or WIDE.get(charset)
    if codec is None:
        raise refusal("body_wrong_charset", f"The charset {shown(charset)} is not read.", "Ask the sender for UTF-8.")
    return codec


def ndjson(file: Spooled, charset: str) -> Source:
    """One JSON value a line; blank lines are passed over."""
    if charset not in UTF8:
        raise refusal("body_wrong_charset", "NDJSON is UTF-8.", "Send UTF-8.")
    return Source(ROWS, {}, {}, _values(file))


def _values(file: Spooled) -> Iterator[Row]:
    raw, number = file.open(), 0
    while line := raw.readline(LINE_LIMIT):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) >= LINE_LIMIT and not line.endswith(b"\n"):
            raise line_too_long(number)
        if not line.strip():
            continue
        try:
            yield Row(number, json_text.decode(line))
        except Refusal as refused:
            yield Row(number, None, refused.failure)
