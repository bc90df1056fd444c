"""Workbooks of Office Open XML (.xlsx, ECMA-376): {"rows": [{column: value}]} of one sheet.

Text stays as it is; numbers are the shortest text that is the same number (478, 4.1); dates are ISO 8601, with a
time where the cell shows one; true and false are booleans; an empty cell is null. Formulas count as the
value that the workbook keeps for them. Rows that are wholly empty are passed over.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

import openpyxl
from openpyxl.styles.numbers import is_datetime
from openpyxl.utils import get_column_letter

from engine.decoding.column_names import column_names
from engine.decoding.refusals import VALUES_LIMIT, refusal, shown, too_many_values
from engine.decoding.workbook_zip import EXPANDED_TIMES, malformed, open_zip
from engine.failures import Refusal
from engine.formats import XlsxOptions

Line = tuple[int, list[Any]]

_DEFAULTS = XlsxOptions.model_validate({})
_BODY_LIMIT = 8 * 1024 * 1024
_MOST_ROWS = 1_048_576
_CHUNK, _LONGEST_CELL = 65_536, 9_000
_FORMULA_ALONE = re.compile(rb"<c\b([^<>]*)>\s*<f(?:\b[^<>]*/>|\b[^<>]*>[^<>]*</f>)\s*(?:</c>|<v\s*/>|<v>\s*</v>)")
_CELL_NAME = re.compile(rb'\br="([A-Z]{1,3}[0-9]{1,7})"')

# What openpyxl leaves out (styles, extensions, validations) is nothing that a row holds.
warnings.filterwarnings("ignore", module=r"openpyxl\.")


def decode(
    body: bytes,
    charset: str = "",
    options: XlsxOptions = _DEFAULTS,
    *,
    values: int = VALUES_LIMIT,
    limit: int = _BODY_LIMIT,
) -> dict[str, Any]:
    """All rows of the sheet. `limit` is that of the body in bytes. Raises Refusal."""
    return {"rows": list(rows(body, options, values=values, limit=limit))}


def rows(
    body: bytes, options: XlsxOptions = _DEFAULTS, *, values: int = VALUES_LIMIT, limit: int = _BODY_LIMIT
) -> Iterator[dict[str, Any]]:
    """The rows one by one. Raises Refusal where one is wrong."""
    if not body:
        raise refusal("body_empty", "The body is empty.", "Send a workbook.")
    for _, row in numbered_rows(body, options, values=values, expanded=limit * EXPANDED_TIMES):
        yield row


def numbered_rows(
    body: bytes | BinaryIO, options: XlsxOptions, *, values: int, expanded: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with its number on the sheet, for sheets too large to be held. `expanded` is the most bytes that the
    workbook's parts may have together. Raises Refusal where one is wrong."""
    archive = open_zip(body, expanded)
    try:
        yield from _named(_lines(body, archive, options.sheet, values), options)
    except Refusal:
        raise
    except Exception:  # openpyxl raises whatever a damaged part makes it stumble over
        raise malformed() from None
    finally:
        archive.close()


def _named(lines: Iterator[Line], options: XlsxOptions) -> Iterator[tuple[int, dict[str, Any]]]:
    wanted = (line for line in lines if line[0] > options.skip_rows and any(cell is not None for cell in line[1]))
    header = [[_as_name(cell) for cell in cells] for _, cells in islice(wanted, options.header_rows)]
    if len(header) < options.header_rows:
        raise refusal("body_empty", "The sheet has no header.", "Send a header row and the rows below it.")
    columns = column_names(header, options, open_end=True)
    width = len(columns)
    for number, cells in wanted:
        if any(cell is not None for cell in cells[width:]):
            raise _beyond(number, cells, width)
        yield number, dict(zip(columns, [*cells, *[None] * (width - len(cells))], strict=False))


def _lines(body: bytes | BinaryIO, archive: zipfile.ZipFile, wanted: str | int, values: int) -> Iterator[Line]:
    """Each row's number and values. Raises Refusal, and whatever openpyxl raises."""
    file = io.BytesIO(body) if isinstance(body, bytes) else body
    book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    sheet = _sheet(book.worksheets, wanted)
    _check_formulas(archive, sheet._worksheet_path)
    sheet.reset_dimensions()
    count = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        count += len(row)
        if count > values or number > _MOST_ROWS:
            raise too_many_values("sheet", values)
        yield number, [_value(cell) for cell in row]


def _sheet(sheets: list[Any], wanted: str | int) -> Any:
    found = next((s for n, s in enumerate(sheets, start=1) if wanted in (n, s.title)), None)
    if found is None:
        titles = ", ".join(shown(sheet.title) for sheet in sheets[:10])
        raise refusal(
            "xlsx_sheet_missing",
            f"The workbook has no sheet {wanted!r}; it has {titles or 'none'}.",
            "Send the table on that sheet, or correct accept: {xlsx: {sheet: …}}.",
            sheet=wanted,
        )
    return found


def _check_formulas(archive: zipfile.ZipFile, path: str) -> None:
    """A formula without its value would read as an empty cell."""
    tail = b""
    with archive.open(path.lstrip("/")) as part:
        while chunk := part.read(_CHUNK):
            window = tail + chunk
            for cell in _FORMULA_ALONE.finditer(window):
                if b't="str"' not in cell[1]:
                    place = _CELL_NAME.search(cell[1])
                    at = place[1].decode() if place else "?"
                    raise refusal(
                        "xlsx_formula_without_value",
                        f"The formula in cell {at} has no value.",
                        "Open the workbook in a spreadsheet program and save it there: that works formulas out.",
                        cell=at,
                    )
            tail = window[-_LONGEST_CELL:]


def _value(cell: Any) -> Any:
    value = cell.value
    if value is None or value.__class__ is bool:
        return value
    if value.__class__ is str:
        return value or None
    if value.__class__ is int:
        return str(value)
    if value.__class__ is float:
        return shortest(value)
    return _moment(value, cell)


def shortest(number: float) -> str:
    """The shortest decimal text that is this number, without exponent."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _moment(value: Any, cell: Any) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat() if is_datetime(cell.number_format) == "date" else value.isoformat()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _as_name(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _beyond(number: int, cells: list[Any], width: int) -> Refusal:
    column = next(n for n, cell in enumerate(cells, start=1) if n > width and cell is not None)
    cell = f"{get_column_letter(column)}{number}"
    return refusal(
        "body_ragged_row",
        f"Cell {cell} holds a value, and its column has no name.",
        "Name the column in the header, or empty the cell.",
        row=number,
        cell=cell,
    )
