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
from engine.formats import CsvOptions

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


@settings(max_examples=150)
@given(rows=st.lists(st.tuples(CELLS, CELLS, st.just("end")), max_size=5))
def test_a_written_table_reads_as_its_rows(rows: list[tuple[str, str, str]]) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    assert table.decode_csv(written.getvalue().encode(), "") == {
        "rows": [dict(zip("abc", row, strict=True)) for row in rows]
    }


@settings(max_examples=200)
@given(body=st.binary(max_size=40) | st.text('a,"\n\r\t1', max_size=30).map(str.encode), tabs=st.booleans())
def test_arbitrary_bytes_give_rows_or_a_refusal(body: bytes, tabs: bool) -> None:
    try:
        document = (table.decode_tsv if tabs else table.decode_csv)(body, "")
    except Refusal:
        return
    assert list(document) == ["rows"]


@pytest.mark.parametrize(
    ("separator", "body"), [(";", b"a;b\n1,5;2\n"), ("|", b"a|b\n1,5|2\n"), ("\t", b"a\tb\n1,5\t2\n")]
)
def test_another_separator_is_declared(decoded: Decode, separator: str, body: bytes) -> None:
    assert decoded(body, accept={"csv": {"separator": separator}}) == {"rows": [{"a": "1,5", "b": "2"}]}


@pytest.mark.parametrize(
    ("quote", "body", "value"), [("single", b"a\n'x, ''y'''\n", "x, 'y'"), ("none", b'a\n5" pipe\n', '5" pipe')]
)
def test_another_way_of_quoting_is_declared(decoded: Decode, quote: str, body: bytes, value: str) -> None:
    assert decoded(body, accept={"csv": {"quote": quote}}) == {"rows": [{"a": value}]}


TWO_HEADERS = b"Stock as of Monday,,\nItem,,Price\nCode,Name,INR\n007,Tea,4.10\n"


def test_header_rows_are_joined_and_merged_cells_filled(decoded: Decode) -> None:
    assert decoded(TWO_HEADERS, accept={"csv": {"skip_rows": 1, "header_rows": 2}}) == {
        "rows": [{"Item Code": "007", "Item Name": "Tea", "Price INR": "4.10"}]
    }
    joined = decoded(TWO_HEADERS, accept={"csv": {"skip_rows": 1, "header_rows": 2, "join": "."}})
    assert list(joined["rows"][0]) == ["Item.Code", "Item.Name", "Price.INR"]


def test_one_of_several_header_rows_names_the_columns(decoded: Decode) -> None:
    body = b"Seller's code,Price\nsku,price\nrequired,required\n007,4.10\n"
    assert decoded(body, accept={"csv": {"header_rows": 3, "names_from": 2}}) == {
        "rows": [{"sku": "007", "price": "4.10"}]
    }


def test_columns_are_named_by_the_file_where_there_is_no_header(decoded: Decode) -> None:
    accept = {"tsv": {"header_rows": 0, "columns": ["sku", "price"]}}
    assert decoded(b"007\t4.10\n", accept=accept) == {"rows": [{"sku": "007", "price": "4.10"}]}


def test_ragged_rows_are_filled_where_declared(decoded: Decode, refused: Refused) -> None:
    accept = {"csv": {"ragged": "fill"}}
    assert decoded(b"\na,b,\n1\n\n2,3,,\n,\n4,5\n", accept=accept) == {
        "rows": [{"a": "1"}, {"a": "2", "b": "3"}, {"a": "4", "b": "5"}]
    }
    assert refused(b"a,b\n1,2,3\n", accept=accept).code == "body_ragged_row"


@pytest.mark.parametrize("charset", ["utf-16", "windows-1252", "UTF-8"])
def test_the_files_charset_holds_where_content_type_says_none(decoded: Decode, charset: str) -> None:
    accept = {"csv": {"charset": charset}}
    assert decoded("a\ncafé\n".encode(charset), accept=accept) == {"rows": [{"a": "café"}]}
    said = ("Content-Type", "text/csv; charset=iso-8859-1")
    assert decoded("a\ncafé\n".encode("latin-1"), said, accept=accept) == {"rows": [{"a": "café"}]}


def test_a_header_of_very_many_columns_is_refused_at_once(refused: Refused) -> None:
    body = b",".join(b"c%d" % n for n in range(500_000)) + b"\n"
    assert refused(body, accept="csv").code == "body_too_many_columns"


def test_the_feeds_limits_bound_the_cells(refused: Refused) -> None:
    assert refused(b"a,b\n" + b"1,2\n" * 20, accept="csv", limits={"values": 39}).code == "body_too_many_values"


def test_rows_are_given_one_by_one_until_one_is_wrong() -> None:
    rows = table.rows(b"a,b\n1,2\n3\n")
    assert next(rows) == {"a": "1", "b": "2"}
    with pytest.raises(Refusal):
        next(rows)


OPTIONS = st.fixed_dictionaries(
    {
        "header_rows": st.integers(1, 3),
        "skip_rows": st.integers(0, 2),
        "quote": st.sampled_from(["double", "single", "none"]),
        "ragged": st.sampled_from(["reject", "fill"]),
        "separator": st.sampled_from([",", ";", "|"]),
    }
)


@settings(max_examples=300, deadline=2000)
@given(body=st.binary(max_size=40) | st.text("a,;|\"'\n\r1", max_size=40).map(str.encode), options=OPTIONS)
def test_arbitrary_bytes_under_any_options_give_rows_or_a_refusal(body: bytes, options: dict[str, Any]) -> None:
    try:
        assert list(table.decode_csv(body, "", CsvOptions.model_validate(options))) == ["rows"]
    except Refusal:
        return
