"""Tables with a header row (RFC 4180): {"rows": [{column: text}]}; every value stays text."""

from __future__ import annotations

import csv
import io
from functools import partial
from typing import Any

from engine.decoding.charsets import text, utf8
from engine.decoding.refusals import refusal, shown


def _decode(body: bytes, charset: str, separator: str) -> dict[str, Any]:
    if charset in ("", "utf-8", "utf8"):
        body = utf8(body, charset)
    lines = _lines(text(body, charset), separator)
    if not lines:
        raise refusal("body_empty", "The table is empty.", "Send a header row and the rows below it.")
    columns = _columns(lines[0][1])
    return {"rows": [_row(columns, cells, number, line) for number, (line, cells) in enumerate(lines[1:], start=1)]}


decode_csv = partial(_decode, separator=",")
decode_tsv = partial(_decode, separator="\t")


def _lines(source: str, separator: str) -> list[tuple[int, list[str]]]:
    """Each row's cells with the line it ends on, without the empty rows at the end."""
    if "\0" in source:
        line = source.count("\n", 0, source.index("\0")) + 1
        raise refusal("body_nul", f"The table holds the character NUL in line {line}.", "Leave NUL out.", line=line)
    reader = csv.reader(io.StringIO(source, newline=""), delimiter=separator, strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        lines.extend((reader.line_num, cells) for cells in reader)
    except csv.Error as error:
        raise refusal(
            "body_not_table",
            f"The table cannot be read in line {reader.line_num}: {error}.",
            "Quote cells that hold separators, quotes or line breaks, and double the quotes within.",
            line=reader.line_num,
        ) from None
    while lines and not any(lines[-1][1]):
        lines.pop()
    return lines


def _columns(cells: list[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    for number, name in enumerate(columns, start=1):
        if not name:
            raise refusal(
                "body_unnamed_column",
                f"Column {number} has no name.",
                "Name every column in the first row.",
                column=number,
            )
        if columns.index(name) < number - 1:
            raise refusal(
                "body_duplicate_column",
                f"The column {shown(name)} stands twice in the header.",
                "Give every column a name of its own.",
                column=number,
                name=name[:80],
            )
    return columns


def _row(columns: list[str], cells: list[str], number: int, line: int) -> dict[str, str]:
    if len(cells) != len(columns):
        raise refusal(
            "body_ragged_row",
            f"Row {number} (line {line}) has {len(cells)} cells, and the header {len(columns)}.",
            "Give every row as many cells as the header; quote cells that hold the separator.",
            path=f"rows[{number - 1}]",
            row=number,
            line=line,
            cells=len(cells),
            columns=len(columns),
        )
    return dict(zip(columns, cells, strict=True))
