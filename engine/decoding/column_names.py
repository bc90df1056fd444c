"""The names of a table's columns, out of its header rows."""

from __future__ import annotations

from collections.abc import Sequence

from engine.decoding.refusals import refusal, shown
from engine.formats import Headed

COLUMNS_LIMIT = 16_384
"""The most columns of a table; a spreadsheet has no more."""


def column_names(rows: Sequence[Sequence[str]], options: Headed, *, open_end: bool) -> list[str]:
    """One name a column. With `open_end`, columns without a name at the right end are no columns. Raises Refusal."""
    if options.columns is not None:
        return list(options.columns)
    if options.names_from is not None:
        rows = (rows[options.names_from - 1],)
    width = max(map(len, rows))
    if width > COLUMNS_LIMIT:
        raise refusal(
            "body_too_many_columns",
            f"The table has {width} columns; {COLUMNS_LIMIT} are read.",
            "Send fewer columns; check that the lines are separated as declared.",
            columns=width,
        )
    padded = [[*(cell.strip() for cell in row), *[""] * (width - len(row))] for row in rows]
    filled = [*map(_filled, padded[:-1]), padded[-1]]
    names = [options.join.join(part for part in parts if part) for parts in zip(*filled, strict=True)]
    while open_end and names and not names[-1]:
        names.pop()
    if not names:
        raise refusal("body_unnamed_column", "The header names no column.", "Name every column in the header.")
    _check(names)
    return names


def _filled(row: list[str]) -> list[str]:
    """A merged cell is written once, at its left."""
    filled: list[str] = []
    for cell in row:
        filled.append(cell or (filled[-1] if filled else ""))
    return filled


def _check(names: list[str]) -> None:
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if not name:
            raise refusal("body_unnamed_column", f"Column {number} has no name.", "Name every column.", column=number)
        if name in seen:
            raise refusal(
                "body_duplicate_column",
                f"The column {shown(name)} stands twice in the header.",
                "Give every column a name of its own.",
                column=number,
                name=name[:80],
            )
        seen.add(name)
