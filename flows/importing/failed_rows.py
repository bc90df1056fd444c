"""Failures of a chunk as failures of the file: by the row's own number, and the column."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.failures import Failure
from flows.importing.rows import Row

COLUMNS = ("row", "column", "reason", "fix", "class", "code")
_INDEX = re.compile(r"\[(\d+)\]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def of_file(failure: Failure, rows: Sequence[Row], start: int) -> Failure:
    """A failure of a chunk's document. `rows` are those in the document, `start` the file's rows before them."""
    if failure.element is None or not 0 <= failure.element < len(rows):
        return failure
    row = rows[failure.element]
    return _placed(failure, row.number, start + failure.element)


def of_row(row: Row, index: int, path: str) -> Failure:
    """The failure of a row that cannot be read."""
    assert row.failure is not None
    return _placed(dataclasses.replace(row.failure, path=f"{path}[0]"), row.number, index)


def _placed(failure: Failure, number: int, index: int) -> Failure:
    path = _INDEX.sub(f"[{index}]", failure.path, count=1)
    facts = {**failure.facts, "row": number, "column": column_of(failure)}
    return dataclasses.replace(failure, path=path, element=index, facts=facts)


def column_of(failure: Failure) -> str:
    """The sender's name of what is wrong, or else the canonical field's."""
    found = _INDEX.search(failure.path)
    told = failure.path[found.end() :].removeprefix(".") if found else ""
    return told.strip("`") or str(failure.facts.get("field", ""))


def report(failures: Iterable[Mapping[str, Any]], *, header: bool = True) -> Iterator[str]:
    """CSV of failed rows; cells that a spreadsheet would take for formulas are defused. `failures` are JSON values
    in order of their rows; what two rules say of one cell is told once."""
    if header:
        yield _line(COLUMNS)
    told: set[tuple[str, ...]] = set()
    row = None
    for failure in failures:
        facts = failure["facts"]
        if facts.get("row") != row:
            row = facts.get("row")
            told.clear()
        cells = (
            str(row if row is not None else ""),
            str(facts.get("column", "")),
            failure["message"],
            failure["next_step"],
            failure["class"],
            failure["code"],
        )
        if cells not in told:
            told.add(cells)
            yield _line([_defused(cell) for cell in cells])


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _defused(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
