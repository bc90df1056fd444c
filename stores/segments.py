"""Segments: raw payloads of one provider and day as a Parquet file. docs/reference/archive.md has the columns.

Rows stand in order of id and in groups of a few megabytes, so that one delivery is read without the others.
pyarrow is imported when a segment is written or read: a server that does neither need not carry it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

GROUP_BYTES: Final = 4 << 20
_DECODED_AT_ONCE: Final = 256


class SegmentUnreadable(Exception):
    """The file is no segment, or a row's body is not what was archived."""


class Archived(NamedTuple):
    """One delivery's raw payload. `object` is the key under which the body stood before, or ""."""

    id: str
    received_at: datetime
    tenant: str
    provider: str
    connection: str
    feed: str
    method: str
    url: str
    headers: bytes
    sealed: bytes
    body: bytes
    body_sealed: bool
    peer: str
    spec_hash: str
    object: str


def encode(rows: Sequence[Archived]) -> bytes:
    """The Parquet file of rows, which are put in order of id."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    schema = _schema()
    target = io.BytesIO()
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for group in _groups(sorted(rows)):
            columns = {name: [getattr(row, name) for row in group] for name in Archived._fields}
            columns["sha256"] = [hashlib.sha256(row.body).hexdigest() for row in group]
            writer.write_table(pa.table(columns, schema=schema))
    return target.getvalue()


def decode(data: bytes) -> Iterator[Archived]:
    """Every row, its body checked by its hash. Raises SegmentUnreadable."""
    with _Reading():
        for batch in _file(io.BytesIO(data)).iter_batches(batch_size=_DECODED_AT_ONCE):
            yield from map(_row, batch.to_pylist())


def ids(data: bytes) -> list[tuple[str, str]]:
    """(id, key of the object that held the body or "") of every row. Raises SegmentUnreadable."""
    with _Reading():
        table = _file(io.BytesIO(data)).read(columns=["id", "object"])
        return list(zip(table["id"].to_pylist(), table["object"].to_pylist(), strict=True))


def find(file: Any, id: str) -> Archived | None:
    """One delivery's row. `file` is read in parts. Raises SegmentUnreadable."""
    with _Reading():
        segment = _file(file)
        position = segment.schema_arrow.get_field_index("id")
        for number in range(segment.num_row_groups):
            bounds = segment.metadata.row_group(number).column(position).statistics
            if bounds is not None and bounds.has_min_max and not bounds.min <= id <= bounds.max:
                continue
            group = segment.read_row_group(number)
            place = group["id"].index(id).as_py()
            if place >= 0:
                return _row(group.slice(place, 1).to_pylist()[0])
    return None


def some(file: Any, first: str, last: str) -> Iterator[Archived]:
    """The rows whose ids lie between two, both included. `file` is read in parts. Raises SegmentUnreadable."""
    with _Reading():
        segment = _file(file)
        position = segment.schema_arrow.get_field_index("id")
        for number in range(segment.num_row_groups):
            bounds = segment.metadata.row_group(number).column(position).statistics
            if bounds is not None and bounds.has_min_max and (bounds.max < first or bounds.min > last):
                continue
            for batch in segment.read_row_group(number).to_batches(max_chunksize=_DECODED_AT_ONCE):
                yield from (_row(values) for values in batch.to_pylist() if first <= values["id"] <= last)


def _groups(rows: Sequence[Archived]) -> Iterator[list[Archived]]:
    group: list[Archived] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row.body) + len(row.headers)
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _row(values: dict[str, Any]) -> Archived:
    digest = values.pop("sha256")
    row = Archived(**values)
    if hashlib.sha256(row.body).hexdigest() != digest:
        raise SegmentUnreadable(f"the body of {row.id} is not what was archived")
    return row


def _schema() -> Any:
    import pyarrow as pa

    text = {name: pa.string() for name in Archived._fields}
    special = {
        "received_at": pa.timestamp("us", "UTC"),
        "headers": pa.binary(),
        "sealed": pa.binary(),
        "body": pa.binary(),
        "body_sealed": pa.bool_(),
    }
    types = {**text, **special, "sha256": pa.string()}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


def _file(source: Any) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetFile(source if isinstance(source, io.BytesIO) else pa.PythonFile(source, mode="r"))


class _Reading:
    """Turns what pyarrow raises into SegmentUnreadable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        import pyarrow as pa

        if isinstance(error, pa.ArrowException | OSError | TypeError | KeyError):
            raise SegmentUnreadable(str(error) or type(error).__name__) from error
