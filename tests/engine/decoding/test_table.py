from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decoding import table
from engine.failures import Failure, Refusal

Decode = Callable[..., Any]
Refused = Callable[..., Failure]


def test_rows_are_named_by_the_header_and_all_values_are_text(decoded: Decode) -> None:
    rows = decoded(b'\xef\xbb\xbf sku , price\r\nA-1,4.10\r\n007,"1,299.00"\r\n', accept="csv")
    assert rows == {"rows": [{"sku": "A-1", "price": "4.10"}, {"sku": "007", "price": "1,299.00"}]}


def test_quoted_cells_hold_separators_quotes_and_line_breaks(decoded: Decode) -> None:
    assert decoded(b'a,b\n"x, ""y""\nz",  2 \n', accept="csv") == {"rows": [{"a": 'x, "y"\nz', "b": "  2 "}]}


def test_tab_separated_values_are_read(decoded: Decode) -> None:
    assert decoded(b"a\tb\n1,5\t2\n", accept="tsv") == {"rows": [{"a": "1,5", "b": "2"}]}


def test_empty_lines_at_the_end_are_skipped(decoded: Decode) -> None:
    assert decoded(b"a,b\n1,2\n\n,\n\r\n", accept="csv") == {"rows": [{"a": "1", "b": "2"}]}


def test_a_header_alone_has_no_rows(decoded: Decode) -> None:
    assert decoded(b"a,b\n", accept="csv") == {"rows": []}


def test_a_declared_windows_1252_table_is_read(decoded: Decode) -> None:
    assert decoded(b"a\ncaf\xe9 \x80\n", ("Content-Type", "text/csv; charset=windows-1252"), accept="csv") == {
        "rows": [{"a": "café €"}]
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_empty"),
        (b"\n\n", "body_empty"),
        (b"\xef\xbb\xbf", "body_empty"),
        (b"a,b\n1\n", "body_ragged_row"),
        (b"a,b\n1,2,3\n", "body_ragged_row"),
        (b"a,b\n\n1,2\n", "body_ragged_row"),
        (b"a, a\n1,2\n", "body_duplicate_column"),
        (b"a,,b\n1,2,3\n", "body_unnamed_column"),
        (b'a,b\n"1,2\n', "body_not_table"),
        (b'a,b\n"1"x,2\n', "body_not_table"),
        (b"a\n" + b"x" * 200_000, "body_not_table"),
        (b"a,b\n1,\0\n", "body_nul"),
        (b"a\n\xff\n", "body_wrong_charset"),
        ("a,b\n1,2\n".encode("utf-16"), "body_wrong_charset"),
    ],
)
def test_what_is_no_strict_table_is_refused(refused: Refused, body: bytes, code: str) -> None:
    assert refused(body, accept="csv").code == code


def test_a_ragged_row_is_named(refused: Refused) -> None:
    failure = refused(b'a,b\n1,"x\ny"\n3\n', accept="csv")
    assert failure.path == "rows[1]"
    assert failure.facts == {"row": 2, "line": 4, "cells": 1, "columns": 2}


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=6)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS, st.just("end")), max_size=5))
def test_a_written_table_reads_as_its_rows(rows: list[tuple[str, str, str]]) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    assert table.decode_csv(written.getvalue().encode(), "") == {
        "rows": [dict(zip("abc", row, strict=True)) for row in rows]
    }


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=40) | st.text('a,"\n\r\t1', max_size=30).map(str.encode), tabs=st.booleans())
def test_arbitrary_bytes_give_rows_or_a_refusal(body: bytes, tabs: bool) -> None:
    try:
        document = (table.decode_tsv if tabs else table.decode_csv)(body, "")
    except Refusal:
        return
    assert list(document) == ["rows"]
