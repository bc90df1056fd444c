"""Workbooks and Parquet files, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from engine.decoding.refusals import refusal, shown
from engine.formats import XlsxOptions
from flows.importing.rows import Row, Source, Spooled
from flows.importing.text_files import ROWS

_CELLS = 1 << 62
_BATCH = 1_000
SHARED_LIMIT = 48 << 20
"""The most bytes of a workbook's shared texts, which are held while it is read."""
GROUP_LIMIT = 128 << 20
"""The most bytes, expanded, of one row group of a Parquet file: it is read a column at a time."""


def workbook(file: Spooled, options: XlsxOptions, expanded: int) -> Source:
    """Raises Refusal, as its rows do."""
    # Loaded here because few files are workbooks.
    from engine.decoding import workbook as books
    from engine.decoding.workbook_zip import open_zip

    with file.path.open("rb") as raw, open_zip(raw, expanded) as archive:
        shared = sum(e.file_size for e in archive.infolist() if e.filename.lower() == "xl/sharedstrings.xml")
    if shared > SHARED_LIMIT:
        raise refusal(
            "xlsx_too_large",
            f"The workbook's shared texts take {shared} bytes; {SHARED_LIMIT} are read.",
            "Save the sheet as CSV, and send that.",
            limit=SHARED_LIMIT,
        )

    def rows() -> Iterator[Row]:
        with file.path.open("rb") as raw:
            for number, value in books.numbered_rows(raw, options, values=_CELLS, expanded=expanded):
                yield Row(number, value)

    return Source(ROWS, {}, {}, rows())


def parquet(file: Spooled, expanded: int) -> Source:
    """Columns become the fields of rows: numbers as text, times as RFC 3339. Raises Refusal, as its rows do."""
    from pyarrow import ArrowException  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]

    try:
        opened = ParquetFile(file.path, memory_map=False, pre_buffer=False, buffer_size=1 << 20)
        groups = [opened.metadata.row_group(n).total_byte_size for n in range(opened.num_row_groups)]
    except (ArrowException, OSError, ValueError):
        raise _unreadable() from None
    if sum(groups) > expanded or any(size > GROUP_LIMIT for size in groups):
        raise refusal(
            "parquet_too_large",
            f"The file, or one row group of it, expands to more than is read ({GROUP_LIMIT} bytes a group).",
            "Write it with smaller row groups, or in several files.",
        )

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in opened.iter_batches(batch_size=_BATCH, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield Row(number, {name: _value(value, name) for name, value in row.items()})
        except (ArrowException, OSError):
            raise _unreadable() from None
        finally:
            opened.close()

    return Source(ROWS, {}, {}, rows())


def _unreadable() -> Exception:
    return refusal("parquet_malformed", "The file is not Parquet, or it is damaged.", "Write it again, and send that.")


def _value(value: Any, name: str) -> Any:
    if value is None or value.__class__ in (str, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        from engine.decoding.workbook import shortest

        return shortest(value) if value == value and abs(value) != float("inf") else None
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list):
        return [_value(one, name) for one in value]
    if isinstance(value, dict):
        return {key: _value(one, name) for key, one in value.items()}
    raise refusal(
        "parquet_type",
        f"The column {shown(name)} holds {type(value).__name__}, which no field reads.",
        "Write it as text, a number, a time, a list or a struct.",
    )
