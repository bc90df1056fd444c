from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decoding import workbook
from engine.failures import Failure, Refusal
from engine.formats import XlsxOptions

Decode = Callable[..., Any]
Refused = Callable[..., Failure]

HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
TAIL = b"</sheetData></worksheet>"
SHARED = (
    b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    b'spreadsheetml.sharedStrings+xml"/>'
)


def book(*sheets: tuple[str, Iterable[Iterable[Any]]]) -> bytes:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, lines in sheets:
        sheet = made.create_sheet(title)
        for line in lines:
            sheet.append(list(line))
    written = io.BytesIO()
    made.save(written)
    return written.getvalue()


def changed(**parts: bytes) -> bytes:
    """A workbook of one row whose parts are replaced: `changed(sheet1=…)`."""
    source = zipfile.ZipFile(io.BytesIO(book(("S", [["a"], ["x"]]))))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            key = name.rsplit("/", 1)[-1].removesuffix(".xml")
            part = parts.get(key, source.read(name))
            if key == "[Content_Types]" and "sharedStrings" in parts:
                part = part.replace(b"</Types>", SHARED + b"</Types>")
                target.writestr("xl/sharedStrings.xml", parts["sharedStrings"])
            target.writestr(name, part)
    return written.getvalue()


def sheet(rows: bytes) -> bytes:
    return changed(sheet1=HEAD + rows + TAIL)


STOCK = book(
    ("Stock", [["sku", "price", "active", "since", "note"], ["007", 4.1, True, date(2026, 1, 2), None]]),
    ("Prices", [["sku", "price"], ["A", 478]]),
)


def test_values_are_exact_text_dates_iso_and_empty_cells_null(decoded: Decode) -> None:
    assert decoded(STOCK, accept="xlsx") == {
        "rows": [{"sku": "007", "price": "4.1", "active": True, "since": "2026-01-02", "note": None}]
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (478, "478"),
        (478.0, "478"),
        (4.1, "4.1"),
        (-13.25, "-13.25"),
        (1e-7, "0.0000001"),
        (1e15, "1000000000000000"),
        (0.1 + 0.2, "0.3"),
        ("1,299.00", "1,299.00"),
        ("=", "="),
        ("#N/A", "#N/A"),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (datetime(2026, 1, 2), "2026-01-02T00:00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (False, False),
    ],
)
def test_each_kind_of_cell_is_read(decoded: Decode, value: Any, text: Any) -> None:
    assert decoded(book(("S", [["v"], [value]])), accept="xlsx") == {"rows": [{"v": text}]}


def test_a_long_integer_of_the_file_is_read_exactly(decoded: Decode) -> None:
    rows = b'<row><c t="inlineStr"><is><t>v</t></is></c></row><row><c><v>271878346596884015</v></c></row>'
    assert decoded(sheet(rows), accept="xlsx") == {"rows": [{"v": "271878346596884015"}]}


@pytest.mark.parametrize("wanted", ["Prices", 2])
def test_a_sheet_is_chosen_by_name_or_number(decoded: Decode, wanted: Any) -> None:
    assert decoded(STOCK, accept={"xlsx": {"sheet": wanted}}) == {"rows": [{"sku": "A", "price": "478"}]}


@pytest.mark.parametrize("wanted", ["prices", 3, 0])
def test_a_missing_sheet_is_refused_and_those_there_are_named(refused: Refused, wanted: Any) -> None:
    failure = refused(STOCK, accept={"xlsx": {"sheet": wanted}})
    assert failure.code == "xlsx_sheet_missing"
    assert "'Stock', 'Prices'" in failure.message


def test_empty_rows_are_passed_over_and_short_rows_are_filled(decoded: Decode) -> None:
    made = book(("S", [[], ["a", "b"], [], ["1", "2"], [None, ""], ["3"], [], [None]]))
    assert decoded(made, accept="xlsx") == {"rows": [{"a": "1", "b": "2"}, {"a": "3", "b": None}]}


def test_header_rows_are_joined_and_merged_cells_filled(decoded: Decode) -> None:
    made = book(("S", [["Price list"], ["Item", None, "Price"], ["Code", "Name", "INR"], ["1", "Tea", 20]]))
    assert decoded(made, accept={"xlsx": {"skip_rows": 1, "header_rows": 2}}) == {
        "rows": [{"Item Code": "1", "Item Name": "Tea", "Price INR": "20"}]
    }


def test_a_value_beside_the_named_columns_is_refused(refused: Refused) -> None:
    failure = refused(book(("S", [["a"], ["1"], ["2", None, "x"]])), accept="xlsx")
    assert (failure.code, failure.facts) == ("body_ragged_row", {"row": 3, "cell": "C3"})


def test_a_formula_counts_as_its_kept_value(decoded: Decode) -> None:
    rows = (
        b'<row><c t="inlineStr"><is><t>v</t></is></c></row><row><c><f>1+1</f><v>2</v></c></row>'
        b'<row><c t="str"><f>T(1)</f><v></v></c></row>'
    )
    assert decoded(sheet(rows), accept="xlsx") == {"rows": [{"v": "2"}]}


def test_a_formula_without_a_value_is_refused(refused: Refused) -> None:
    failure = refused(book(("S", [["v"], ["=1+1"]])), accept="xlsx")
    assert (failure.code, failure.facts) == ("xlsx_formula_without_value", {"cell": "A2"})


def test_a_header_alone_has_no_rows(decoded: Decode) -> None:
    assert decoded(book(("S", [["a", "b"]])), accept="xlsx") == {"rows": []}


def test_shared_texts_are_read(decoded: Decode) -> None:
    shared = (
        b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b"<si><t>sku</t></si><si><r><t>A&amp;</t></r><r><t>B</t></r></si></sst>"
    )
    rows = b'<row><c t="s"><v>0</v></c></row><row><c t="s"><v>1</v></c></row>'
    assert decoded(changed(sharedStrings=shared, sheet1=HEAD + rows + TAIL), accept="xlsx") == {
        "rows": [{"sku": "A&B"}]
    }


ROW = b"<row><c><v>1</v></c></row>"
ENTITIES = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_empty"),
        (book(("S", [])), "body_empty"),
        (b"PK\x03\x04", "xlsx_malformed"),
        (b"sku,price\n", "xlsx_malformed"),
        (STOCK[: len(STOCK) // 2], "xlsx_malformed"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "xlsx_malformed"),
        (changed(sheet1=ENTITIES + HEAD + ROW + TAIL), "xlsx_malformed"),
        (changed(theme1=ENTITIES + b"<a>&b;</a>"), "xlsx_malformed"),
        (changed(sheet1=(ENTITIES + HEAD).decode().encode("utf-16")), "xlsx_malformed"),
        (changed(sheet1=b'<?xml version="1.0" encoding="cp037"?>' + HEAD + TAIL), "xlsx_malformed"),
        (changed(sheet1=HEAD + b"<row>"), "xlsx_malformed"),
        (changed(workbook=b"<a/>"), "xlsx_sheet_missing"),
        (changed(styles=b"<" * 50), "xlsx_malformed"),
        (sheet(b"<row><c><v>nan</v></c></row>"), "xlsx_malformed"),
        (sheet(b"<row><c><v>" + b"9" * 5000 + b"</v></c></row>"), "xlsx_malformed"),
        (sheet(b'<row><c t="s"><v>99</v></c></row>'), "xlsx_malformed"),
        (sheet(ROW + b'<row r="99999999999"><c r="A99999999999"><v>1</v></c></row>'), "body_too_many_values"),
        (changed(sheet1=b" " * 50_000_000), "xlsx_too_large"),
        (changed(sheet1=HEAD + ROW * 500_000 + TAIL), "xlsx_too_large"),
    ],
)  # fmt: skip
def test_what_is_no_safe_workbook_is_refused(refused: Refused, body: bytes, code: str) -> None:
    assert refused(body, accept="xlsx").code == code


def test_a_workbook_of_too_many_parts_is_refused(refused: Refused) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as target:
        for n in range(2_100):
            target.writestr(f"xl/media/{n}.png", b"")
    assert refused(written.getvalue(), accept="xlsx").code == "xlsx_too_large"


def test_a_part_that_hides_its_size_is_refused(refused: Refused) -> None:
    """The directory says 100 bytes; the data behind expands to millions."""
    bomb = changed(sheet1=b" " * 3_000_000)
    for marker, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = bomb.find(marker)
        while start >= 0:
            if struct.unpack_from("<I", bomb, start + at)[0] == 3_000_000:
                bomb = bomb[: start + at] + struct.pack("<I", 100) + bomb[start + at + 4 :]
            start = bomb.find(marker, start + 4)
    assert refused(bomb, accept="xlsx").code == "xlsx_malformed"


def test_cells_of_one_endless_row_are_refused(refused: Refused) -> None:
    cells = b"".join(b"<c><v>%d</v></c>" % (n * 7919 % 100_003) for n in range(80_000))
    assert refused(sheet(b"<row>" + cells + b"</row>"), accept="xlsx").code == "xlsx_too_large"


def test_a_row_far_to_the_right_does_not_fill_memory(refused: Refused) -> None:
    rows = b"".join(b'<row r="%d"><c r="XFD%d"><v>%d</v></c></row>' % (n, n, n) for n in range(1, 200))
    assert refused(sheet(rows), accept="xlsx").code in ("body_unnamed_column", "body_too_many_values")


def test_the_feeds_limits_bound_cells_and_expansion(refused: Refused) -> None:
    made = book(("S", [["a", "b"], *([n, n] for n in range(20))]))
    assert refused(made, accept="xlsx", limits={"values": 40}).code == "body_too_many_values"
    assert refused(made, accept="xlsx", limits={"body": 200}).code == "xlsx_too_large"


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=6)
NUMBERS = st.integers(-(10**15), 10**15) | st.floats(-1e9, 1e9).map(lambda x: round(x, 6))


@settings(max_examples=40)
@given(cells=st.lists(st.tuples(TEXTS.filter(lambda t: not t.startswith("=")), NUMBERS), min_size=1, max_size=4))
def test_a_written_sheet_reads_as_its_cells(cells: list[tuple[str, Any]]) -> None:
    rows = workbook.decode(book(("S", [["t", "n"], *cells])))["rows"]
    assert [row["t"] or "" for row in rows] == [text for text, _ in cells]
    assert [float(row["n"]) for row in rows] == [float(number) for _, number in cells]


@settings(max_examples=300)
@given(data=st.data())
def test_a_changed_workbook_gives_rows_or_a_refusal(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(STOCK)))
    body = STOCK[:at] + data.draw(st.binary(max_size=6)) + STOCK[at + data.draw(st.integers(0, 6)) :]
    try:
        assert list(workbook.decode(body)) == ["rows"]
    except Refusal:
        return


@settings(max_examples=200)
@given(
    rows=st.lists(
        st.sampled_from(
            [b"<row>", b"</row>", b"<c>", b"</c>", b"<v>", b"</v>", b"1", b"1.5", b"1e9", b"x", b'<c t="b">',
             b'<c t="d">', b'<c t="e">', b'<c t="s">', b'<c s="9">', b'<c r="B1">', b'<c r="1">', b'<row r="0">',
             b'<row r="x">', b"<f>1</f>", b"&lt;", b"&x;", b"<is><t>a</t></is>"]
        ),
        max_size=10,
    )
)  # fmt: skip
def test_arbitrary_sheet_data_gives_rows_or_a_refusal(rows: list[bytes]) -> None:
    body = sheet(b'<row><c t="inlineStr"><is><t>v</t></is></c></row>' + b"".join(rows))
    try:
        workbook.decode(body, options=XlsxOptions.model_validate({}))
    except Refusal:
        return
