from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores import segments
from stores.segments import Archived, SegmentUnreadable

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def row(id: str, body: bytes = b"{}", headers: bytes = b"[]", sealed: bytes = b"", url: str = "/x") -> Archived:
    return Archived(
        id, START + timedelta(microseconds=1), "north", "acme", "one", "stock", "POST", url, headers, sealed, body,
        False, "192.0.2.1", "hash", "",
    )  # fmt: skip


@given(st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=60), st.binary(max_size=60), TEXT), max_size=8))
def test_whatever_is_packed_comes_back_the_same(parts: list[tuple[bytes, bytes, bytes, str]]) -> None:
    rows = [row(f"{n:04}", *part) for n, part in enumerate(parts)]
    assert list(segments.decode(segments.encode(rows))) == rows


def test_one_row_is_found_among_several_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GROUP_BYTES", 100)
    rows = [row(f"{n:04}", body=b"%d" % n * 40) for n in range(50)]
    data = segments.encode(rows)
    assert [segments.find(io.BytesIO(data), f"{n:04}") for n in (0, 17, 49)] == [rows[0], rows[17], rows[49]]
    assert segments.find(io.BytesIO(data), "0017x") is None


def test_rows_between_two_ids_are_found_in_every_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "GROUP_BYTES", 100)
    rows = [row(f"{n:04}", body=b"%d" % n * 40) for n in range(50)]
    data = segments.encode(rows)
    assert list(segments.some(io.BytesIO(data), "0010", "0030")) == rows[10:31]
    assert list(segments.some(io.BytesIO(data), "0060", "0070")) == []


def test_rows_stand_in_order_of_id() -> None:
    data = segments.encode([row("b"), row("a"), row("c")])
    assert segments.ids(data) == [("a", ""), ("b", ""), ("c", "")]


def test_a_segment_without_rows_is_a_segment() -> None:
    assert list(segments.decode(segments.encode([]))) == []


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"not a file of this kind at all"])
def test_what_is_no_segment_is_unreadable(data: bytes) -> None:
    with pytest.raises(SegmentUnreadable):
        list(segments.decode(data))
    with pytest.raises(SegmentUnreadable):
        segments.find(io.BytesIO(data), "a")


def test_a_body_that_was_changed_is_noticed() -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(segments.encode([row("a", body=b"one")])))
    changed = table.set_column(table.schema.get_field_index("body"), table.schema.field("body"), [[b"two"]])
    target = io.BytesIO()
    pq.write_table(changed, target)
    with pytest.raises(SegmentUnreadable, match="not what was archived"):
        list(segments.decode(target.getvalue()))
