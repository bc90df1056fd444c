"""Tables of text with a header (RFC 4180): {"rows": [{column: text}]}; every value stays text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

from engine.decoding.charsets import UTF8, text, utf8
from engine.decoding.column_names import column_names
from engine.decoding.refusals import VALUES_LIMIT, refusal, too_many_values
from engine.failures import Refusal
from engine.formats import CsvOptions, DelimitedOptions, TsvOptions

Line = tuple[int, list[str]]
"""A row's cells with the line of the text that it ends on, from 1."""

_QUOTES = {"double": '"', "single": "'", "none": None}
_CSV, _TSV = CsvOptions.model_validate({}), TsvOptions.model_validate({})


def decode_csv(
    body: bytes, charset: str = "", options: DelimitedOptions = _CSV, *, values: int = VALUES_LIMIT
) -> dict[str, Any]:
    """A whole table. Raises Refusal."""
    return {"rows": list(rows(body, charset, options, values=values))}


def decode_tsv(
    body: bytes, charset: str = "", options: DelimitedOptions = _TSV, *, values: int = VALUES_LIMIT
) -> dict[str, Any]:
    """A whole table separated by tabs. Raises Refusal."""
    return decode_csv(body, charset, options, values=values)


def rows(
    body: bytes, charset: str = "", options: DelimitedOptions = _CSV, *, values: int = VALUES_LIMIT
) -> Iterator[dict[str, str]]:
    """The rows one by one, for tables too large to be held as a document. Raises Refusal where one is wrong."""
    lines = _without_blank_end(_lines(_text(body, charset, options), options))
    skipped = list(islice(lines, options.skip_rows))
    fill = options.ragged == "fill"
    if fill:
        lines = (line for line in lines if any(line[1]))
    header = [cells for _, cells in islice(lines, options.header_rows)]
    if len(header) < options.header_rows or len(skipped) < options.skip_rows or not body:
        raise refusal("body_empty", "The table is empty.", "Send a header row and the rows below it.")
    columns = column_names(header, options, open_end=fill)
    count = 0
    for number, (line, cells) in enumerate(lines, start=1):
        count += max(1, len(cells))
        if count > values:
            raise too_many_values("table", values)
        if len(cells) != len(columns) and not (fill and not any(cells[len(columns) :])):
            raise _ragged(columns, cells, number, line)
        yield dict(zip(columns, cells, strict=False))


def _text(body: bytes, charset: str, options: DelimitedOptions) -> str:
    charset = charset or (options.charset or "").lower()
    if charset in UTF8:
        body = utf8(body, charset)
    source = text(body, charset, wide=True)
    if "\0" in source:
        line = source.count("\n", 0, source.index("\0")) + 1
        raise refusal("body_nul", f"The table holds the character NUL in line {line}.", "Leave NUL out.", line=line)
    return source


def _lines(source: str, options: DelimitedOptions) -> Iterator[Line]:
    quote = _QUOTES[options.quote]
    reader = csv.reader(
        io.StringIO(source, newline=""),
        delimiter=options.separator if isinstance(options, CsvOptions) else "\t",
        quotechar=quote,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise refusal(
            "body_not_table",
            f"The table cannot be read in line {reader.line_num}: {error}.",
            "Quote cells that hold separators, quotes or line breaks, and double the quotes within.",
            line=reader.line_num,
        ) from None


def _without_blank_end(lines: Iterator[Line]) -> Iterator[Line]:
    blank: list[Line] = []
    for line in lines:
        if any(line[1]):
            yield from blank
            blank.clear()
            yield line
        else:
            blank.append(line)


def _ragged(columns: list[str], cells: list[str], number: int, line: int) -> Refusal:
    return refusal(
        "body_ragged_row",
        f"Row {number} (line {line}) has {len(cells)} cells, and the header {len(columns)}.",
        "Give every row as many cells as the header; quote cells that hold the separator.",
        path=f"rows[{number - 1}]",
        row=number,
        line=line,
        cells=len(cells),
        columns=len(columns),
    )
