"""Readers: what providers send becomes canonical exactly, or is refused with a stable code."""

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.currencies import MINOR_UNITS
from engine.readers import READERS, make_reader
from engine.unreadable import Unreadable


def read(name: str, value: Any, **options: Any) -> Any:
    return make_reader(name, **options)(value)


def code_of(name: str, value: Any, **options: Any) -> str:
    with pytest.raises(Unreadable) as refused:
        make_reader(name, **options)(value)
    return refused.value.code


def rupees(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "INR"}


def test_an_unknown_reader_is_refused() -> None:
    with pytest.raises(KeyError):
        make_reader("guess")


@pytest.mark.parametrize("name", [name for name in READERS if name not in ("text", "list")])
def test_an_empty_text_reads_as_null(name: str) -> None:
    assert read(name, "", currency="INR", time_zone="Asia/Kolkata") is None


@pytest.mark.parametrize("name", [name for name in READERS if name not in ("text", "list", "object")])
def test_white_space_alone_reads_as_null(name: str) -> None:
    assert read(name, " \n", currency="INR", time_zone="Asia/Kolkata") is None


def test_an_empty_text_stays_text() -> None:
    assert read("text", "") == ""


def test_text_keeps_its_white_space_and_digits() -> None:
    assert read("text", " 271878346596884015 ") == " 271878346596884015 "


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("text", "not_text"),
        ("id", "not_an_id"),
        ("integer", "not_an_integer"),
        ("decimal", "not_a_number"),
        ("quantity", "not_a_number"),
        ("money", "not_money"),
        ("minor_units", "not_an_integer"),
        ("flag", "not_a_flag"),
        ("epoch_s", "not_a_time"),
        ("epoch_ms", "not_a_time"),
        ("timestamp", "not_a_time"),
        ("date", "not_a_date"),
    ],
)
@pytest.mark.parametrize("value", [["1"], {"a": "1"}, 1, 1.0])
def test_what_is_not_text_has_the_readers_code(name: str, code: str, value: Any) -> None:
    assert code_of(name, value, currency="INR", time_zone="Asia/Kolkata") == code


@pytest.mark.parametrize("name", ["text", "id", "integer", "decimal", "money", "timestamp", "date", "list"])
def test_a_boolean_is_only_a_flag(name: str) -> None:
    assert code_of(name, True).startswith("not_")


@pytest.mark.parametrize(("value", "expected"), [("478", "478"), (" I-1\n", "I-1"), ("007", "007"), ("5J", "5J")])
def test_an_id_stays_the_text_it_is(value: str, expected: str) -> None:
    assert read("id", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", 5),
        ("05", 5),
        ("5.0", 5),
        ("-3", -3),
        ("+4", 4),
        (" 7 ", 7),
        ("1e3", 1000),
        ("-0", 0),
        ("0e99", 0),
    ],
)
def test_a_whole_number_is_read_exactly(value: str, expected: int) -> None:
    result = read("integer", value)
    assert (result, type(result)) == (expected, int)


@pytest.mark.parametrize("value", ["5.5", "abc", "1e-5", "1,000", "0x10", "1_000", "٣", "NaN", "--1", "1e9999"])
def test_what_is_not_a_whole_number_is_refused(value: str) -> None:
    assert code_of("integer", value) == "not_an_integer"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10.000", "10"),
        ("4.10", "4.1"),
        ("1e3", "1000"),
        ("2.5E-3", "0.0025"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+5", "5"),
        ("-0.00", "0"),
        ("0e99", "0"),
        ("007.50", "7.5"),
        ("999999999999999.999999999", "999999999999999.999999999"),
        ("0.0000000010000000000000000000000000000000000000000000000000000000000000000", "0.000000001"),
    ],
)
def test_a_decimal_loses_what_says_nothing(value: str, expected: str) -> None:
    assert read("decimal", value) == expected


@pytest.mark.parametrize("value", ["1,299.00", "12abc", "Infinity", "nan", "-", ".", "１２", "1 2", "1e1000", "--5"])
def test_what_is_not_a_number_is_refused(value: str) -> None:
    assert code_of("decimal", value) == "not_a_number"


@pytest.mark.parametrize("name", ["integer", "decimal", "quantity", "money", "minor_units", "epoch_s"])
@pytest.mark.parametrize("value", ["1000000000000000", "1e15", "9" * 5000])
def test_a_number_of_more_than_15_digits_is_refused(name: str, value: str) -> None:
    assert code_of(name, value, currency="INR") == "number_too_large"


def test_a_decimal_of_more_than_nine_decimals_is_refused() -> None:
    assert code_of("decimal", "0.1234567891") == "too_many_decimals"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", {"amount": "5", "unit": "each"}),
        ("-2.50", {"amount": "-2.5", "unit": "each"}),
        ({"amount": "1.50", "unit": "kg"}, {"amount": "1.5", "unit": "kg"}),
        ({"amount": "1", "unit": ""}, {"amount": "1", "unit": "each"}),
        ({"amount": "", "unit": "kg"}, None),
    ],
)
def test_a_quantity_has_an_amount_and_a_unit(value: Any, expected: Any) -> None:
    assert read("quantity", value) == expected


def test_a_quantity_has_the_unit_it_is_given() -> None:
    assert read("quantity", "5", unit="kg") == {"amount": "5", "unit": "kg"}


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("150", "150.00"),
        ("150.00", "150.00"),
        ("120.5", "120.50"),
        ("1.500", "1.50"),
        ("0", "0.00"),
        ("-0", "0.00"),
        ("1e2", "100.00"),
        ("1,299.00", "1299.00"),
        ("12,34,567.5", "1234567.50"),
        ("1,234,567", "1234567.00"),
        ("  12\n", "12.00"),
        ("₹120", "120.00"),
        ("₹ 1,00,000", "100000.00"),
        ("INR 120.50", "120.50"),
        ("inr120.50", "120.50"),
        ("120.50\tINR", "120.50"),
    ],
)
def test_an_amount_in_a_common_form_is_read(value: str, amount: str) -> None:
    assert read("money", value, currency="INR") == rupees(amount)


@pytest.mark.parametrize(
    ("value", "amount", "currency"),
    [
        ("4999 JPY", "4999", "JPY"),
        ("15,550.00 RUB", "15550.00", "RUB"),
        ("BHD 1.5", "1.500", "BHD"),
        ("€ 5", "5.00", "EUR"),
        ({"amount": "5", "currency": "KWD"}, "5.000", "KWD"),
        ({"amount": "5", "currency": " usd"}, "5.00", "USD"),
        ({"amount": "5", "currency": None}, "5.00", "INR"),
    ],
)
def test_a_currency_beside_the_amount_overrides_the_default(value: Any, amount: str, currency: str) -> None:
    assert read("money", value, currency="INR") == {"amount": amount, "currency": currency}


@pytest.mark.parametrize(("symbol", "currency"), [("$", "AUD"), ("$", "USD"), ("¥", "CNY"), ("£", "GBP")])
def test_a_symbol_of_several_currencies_means_the_default_among_them(symbol: str, currency: str) -> None:
    assert read("money", f"{symbol}5.25", currency=currency) == {"amount": "5.25", "currency": currency}


@pytest.mark.parametrize("symbol", ["$", "¥", "£"])
@pytest.mark.parametrize("currency", ["INR", None])
def test_a_symbol_of_several_currencies_is_never_guessed(symbol: str, currency: str | None) -> None:
    assert code_of("money", f"{symbol}5", currency=currency) == "currency_unknown"


@pytest.mark.parametrize(
    "value",
    [
        "abc", "INR", "₹", "1,29", "12,3456", "1,23,45", "1299,50", "1.299,50", "-5", "INR -3", "Rs 5", "5 5",
        "nan", "Infinity", "1 INR INR", "₹5 INR", "1_0", "5 rupees", "INR INR 5",
        {"amount": "-1", "currency": "INR"}, {"amount": "5"}, {"amount": 5, "currency": "INR"},
        {"amount": "5", "currency": "INR", "note": ""}, {},
    ],
)  # fmt: skip
def test_what_is_not_an_amount_is_refused(value: Any) -> None:
    assert code_of("money", value, currency="INR") == "not_money"


@pytest.mark.parametrize(
    ("value", "currency"), [("1.005", "INR"), ("4999.5", "JPY"), ("1.0001", "BHD"), ("5.5 JPY", "INR")]
)
def test_an_amount_is_never_rounded_to_the_currencys_decimals(value: str, currency: str) -> None:
    assert code_of("money", value, currency=currency) == "too_many_decimals"


@pytest.mark.parametrize("value", ["120 ABC", "XAU 5", {"amount": "5", "currency": "rupees"}])
def test_a_currency_that_is_none_is_refused(value: Any) -> None:
    assert code_of("money", value, currency="INR") == "currency_unknown"


def test_an_amount_without_any_currency_is_refused() -> None:
    assert code_of("money", "120") == "currency_unknown"


def test_a_long_run_of_white_space_inside_an_amount_is_refused() -> None:
    assert code_of("money", "1" + " " * 1_000_000 + "!", currency="INR") == "not_money"


@pytest.mark.parametrize(
    ("value", "currency", "amount"),
    [
        ("12050", "INR", "120.50"),
        ("5", "INR", "0.05"),
        ("1e3", "INR", "10.00"),
        ("5", "JPY", "5"),
        ("5", "BHD", "0.005"),
    ],
)
def test_minor_units_become_an_amount(value: str, currency: str, amount: str) -> None:
    assert read("minor_units", value, currency=currency) == {"amount": amount, "currency": currency}


@pytest.mark.parametrize(
    ("value", "currency", "code"),
    [
        ("120.50", "INR", "not_an_integer"),
        ("-5", "INR", "not_money"),
        ("5", None, "currency_unknown"),
        ("5", "XXX", "currency_unknown"),
    ],
)
def test_minor_units_that_are_no_amount_are_refused(value: str, currency: str | None, code: str) -> None:
    assert code_of("minor_units", value, currency=currency) == code


@pytest.mark.parametrize("value", [True, "1", "true", "TRUE", "Yes", "y", "on", " on "])
def test_yes_is_read(value: Any) -> None:
    assert read("flag", value) is True


@pytest.mark.parametrize("value", [False, "0", "false", "False", "No", "n", "OFF"])
def test_no_is_read(value: Any) -> None:
    assert read("flag", value) is False


@pytest.mark.parametrize("value", ["2", "1.0", "-1", "yess", "null", "in stock"])
def test_a_word_that_is_neither_yes_nor_no_is_refused(value: str) -> None:
    assert code_of("flag", value) == "not_a_flag"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-18T10:00:00Z", "2026-01-18T10:00:00Z"),
        ("2026-01-18t10:00:00z", "2026-01-18T10:00:00Z"),
        ("2026-01-18 10:00:00+05:30", "2026-01-18T04:30:00Z"),
        ("2026-01-18T10:00:00 +0530", "2026-01-18T04:30:00Z"),
        ("2026-01-18T10:00-03", "2026-01-18T13:00:00Z"),
        ("2026-01-18T10:00:00.120Z", "2026-01-18T10:00:00.12Z"),
        ("2026-01-18T10:00:00.1234567Z", "2026-01-18T10:00:00.123456Z"),
        ("2026-01-18T10:00:00.999999999Z", "2026-01-18T10:00:00.999999Z"),
        ("2026-01-18T10:00:00.000Z", "2026-01-18T10:00:00Z"),
        ("2025-12-31T23:30:00-01:00", "2026-01-01T00:30:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("0001-01-01T05:30:00+05:30", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_with_its_zone_is_read_in_utc(value: str, expected: str) -> None:
    assert read("timestamp", value, time_zone="America/New_York") == expected


@pytest.mark.parametrize(
    ("value", "zone", "expected"),
    [
        ("2026-01-18 10:00:00", "Asia/Kolkata", "2026-01-18T04:30:00Z"),
        ("2026-01-18T10:00", "UTC", "2026-01-18T10:00:00Z"),
        ("2026-07-18T10:00:00", "Europe/Berlin", "2026-07-18T08:00:00Z"),
    ],
)
def test_a_time_without_zone_is_local(value: str, zone: str, expected: str) -> None:
    assert read("timestamp", value, time_zone=zone) == expected


def test_a_local_time_that_comes_twice_is_the_first_of_them() -> None:
    assert read("timestamp", "2026-10-25 02:30:00", time_zone="Europe/Berlin") == "2026-10-25T00:30:00Z"


def test_a_local_time_that_is_skipped_has_the_offset_before_the_change() -> None:
    assert read("timestamp", "2026-03-29 02:30:00", time_zone="Europe/Berlin") == "2026-03-29T01:30:00Z"


def test_a_time_without_any_zone_is_refused() -> None:
    assert code_of("timestamp", "2026-01-18 10:00:00") == "time_without_zone"


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-30T10:00:00Z", "2026-01-18T24:00:00Z", "2026-01-18T10:61:00Z", "2026-01-18", "10:00", "now",
        "2026-01-18T10:00:00+99:99", "2026-01-18T10:00:00-24:00", "2026-01-18T10:00:00+05:60", "1768730593",
        "0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00", "2026-01-18T10:00:00Z\x00",
        "٢٠٢٦-01-18T10:00:00Z",
    ],
)  # fmt: skip
def test_what_is_not_a_time_is_refused(value: str) -> None:
    assert code_of("timestamp", value, time_zone="Asia/Kolkata") == "not_a_time"


PICTURES = ("%Y-%m-%d%H:%M:%S", "%d/%m/%Y %H:%M %z")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2026-01-1810:00:00", "2026-01-18T04:30:00Z"), ("18/01/2026 10:00 +0000", "2026-01-18T10:00:00Z")],
)
def test_pictures_are_tried_in_order(value: str, expected: str) -> None:
    assert read("timestamp", value, time_zone="Asia/Kolkata", picture=PICTURES) == expected


def test_a_time_in_none_of_the_pictures_is_refused() -> None:
    assert code_of("timestamp", "2026-01-18T10:00:00Z", time_zone="UTC", picture=PICTURES) == "not_a_time"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epoch_s", "1700000000", "2023-11-14T22:13:20Z"),
        ("epoch_s", "1700000000.5", "2023-11-14T22:13:20.5Z"),
        ("epoch_s", "1.7e9", "2023-11-14T22:13:20Z"),
        ("epoch_s", "-1.5", "1969-12-31T23:59:58.5Z"),
        ("epoch_ms", "1700000000123", "2023-11-14T22:13:20.123Z"),
        ("epoch_ms", "1700000000123.456", "2023-11-14T22:13:20.123456Z"),
    ],
)
def test_a_count_since_1970_is_a_time(name: str, value: str, expected: str) -> None:
    assert read(name, value) == expected


@pytest.mark.parametrize("value", ["999999999999999", "-99999999999999", "soon", "2026-01-18"])
def test_a_count_beyond_the_calendar_is_refused(value: str) -> None:
    assert code_of("epoch_s", value) == "not_a_time"


def test_a_date_is_read() -> None:
    assert read("date", " 2026-01-18 ") == "2026-01-18"


def test_a_date_is_read_by_its_picture() -> None:
    assert read("date", "18/01/2026", picture=("%d/%m/%Y",)) == "2026-01-18"


@pytest.mark.parametrize("value", ["2026-02-30", "18/01/2026", "2026-1-8", "2026-01-18T10:00:00Z", "today"])
def test_what_is_not_a_date_is_refused(value: str) -> None:
    assert code_of("date", value) == "not_a_date"


def test_a_date_before_the_year_1000_has_four_digits() -> None:
    assert read("date", "0999-01-18") == "0999-01-18"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", ""], ["a", ""]),
        ("a, b ,,c", ["a", "b", "c"]),
        ("a", ["a"]),
        ("", []),
        (" , ", []),
        ({"1": "b", "0": "a", "10": "c", "2": "d"}, ["a", "b", "d", "c"]),
        ({}, []),
    ],
)
def test_a_list_is_read_from_each_of_its_forms(value: Any, expected: list[Any]) -> None:
    assert read("list", value) == expected


def test_a_list_is_split_at_its_separator() -> None:
    assert read("list", "a,1|b", separator="|") == ["a,1", "b"]


def test_an_object_of_names_is_not_a_list() -> None:
    assert code_of("list", {"id": "a"}) == "not_a_list"


def test_an_object_is_read_as_it_is() -> None:
    assert read("object", {"colour": "red"}) == {"colour": "red"}


@pytest.mark.parametrize("value", ["red", ["red"], True])
def test_what_is_not_an_object_is_refused(value: Any) -> None:
    assert code_of("object", value) == "not_an_object"


def test_a_result_that_is_changed_does_not_change_the_next() -> None:
    money = make_reader("money", currency="INR")
    money("150")["amount"] = "0"
    assert money("150") == rupees("150.00")


def test_a_reader_is_made_once_for_its_options() -> None:
    assert make_reader("money", currency="INR") is make_reader("money", currency="INR")


def test_readers_of_two_currencies_do_not_share_what_they_remember() -> None:
    make_reader("money", currency="INR")("77")
    assert make_reader("money", currency="JPY")("77") == {"amount": "77", "currency": "JPY"}


def test_a_message_cuts_a_long_value_short() -> None:
    with pytest.raises(Unreadable) as refused:
        make_reader("decimal")("x" * 10_000)
    assert len(str(refused.value)) < 120


CURRENCIES = st.sampled_from(sorted(MINOR_UNITS))


@given(minor=st.integers(0, 10**15 - 1), currency=CURRENCIES)
def test_every_amount_comes_back_exactly(minor: int, currency: str) -> None:
    exact = Decimal(minor).scaleb(-MINOR_UNITS[currency])
    made = read("money", format(exact, "f"), currency=currency)
    assert (Decimal(made["amount"]), made["currency"]) == (exact, currency)
    assert read("money", made["amount"], currency=currency) == made


@given(minor=st.integers(0, 10**15 - 1), currency=CURRENCIES)
def test_minor_units_and_amounts_agree(minor: int, currency: str) -> None:
    text = format(Decimal(minor).scaleb(-MINOR_UNITS[currency]), "f")
    assert read("minor_units", str(minor), currency=currency) == read("money", text, currency=currency)


@given(minor=st.integers(0, 10**12), currency=CURRENCIES)
def test_an_amount_has_exactly_its_currencys_decimals(minor: int, currency: str) -> None:
    amount = read("minor_units", str(minor), currency=currency)["amount"]
    assert len(amount.partition(".")[2]) == MINOR_UNITS[currency]


@given(st.integers(0, 10**15 - 1))
def test_thousands_commas_do_not_change_an_amount(whole: int) -> None:
    assert read("money", f"{whole:,}", currency="INR") == rupees(f"{whole}.00")


@given(st.decimals(-(10**14), 10**14, places=9, allow_nan=False, allow_infinity=False))
def test_every_decimal_comes_back_exactly(number: Decimal) -> None:
    for text in (str(number), format(number, "f"), format(number, "e")):
        made = read("decimal", text)
        assert Decimal(made) == number
        assert read("decimal", made) == made


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_every_integer_comes_back_exactly(number: int) -> None:
    assert read("integer", str(number)) == number


@given(st.datetimes(timezones=st.timezones()))
def test_every_time_is_the_same_moment_in_utc(moment: Any) -> None:
    offset = moment.utcoffset()
    if offset.seconds % 60 or not (2 <= moment.year <= 9998):
        return
    made = read("timestamp", moment.isoformat())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z", made)
    assert type(moment).fromisoformat(made) - moment == type(offset)(0)
    assert read("timestamp", made) == made


JUNK = st.text(max_size=20) | st.text(alphabet="0123456789.,+-eE:TZ INR₹$", max_size=20)
ANYTHING = st.recursive(
    JUNK | st.booleans() | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["amount", "currency", "unit", "0"]), inner | st.none(), max_size=2)
    ),
    max_leaves=3,
)


@given(name=st.sampled_from(READERS), value=ANYTHING)
def test_a_reader_answers_or_refuses_and_never_crashes(name: str, value: Any) -> None:
    try:
        made = read(name, value, currency="INR", time_zone="Asia/Kolkata")
    except Unreadable as refused:
        made = refused.code
    assert not isinstance(made, float)


@pytest.mark.parametrize(
    ("name", "value", "by", "expected"),
    [
        ("decimal", "9000", 1000, "9"),
        ("decimal", "12500", 1000, "12.5"),
        ("decimal", "-5", 100, "-0.05"),
        ("decimal", "1e3", 10, "100"),
        ("decimal", " ", 10, None),
        ("integer", "120", 10, 12),
        ("money", "450000", 10000, {"amount": "45.00", "currency": "INR"}),
        ("quantity", "2500", 1000, {"amount": "2.5", "unit": "kg"}),
    ],
)
def test_a_number_is_divided_exactly(name: str, value: str, by: int, expected: Any) -> None:
    assert make_reader(name, currency="INR", unit="kg", divide_by=by)(value) == expected


@pytest.mark.parametrize(("name", "value"), [("money", "4503"), ("integer", "15")])
def test_a_number_that_does_not_divide_is_refused_and_never_rounded(name: str, value: str) -> None:
    with pytest.raises(Unreadable):
        make_reader(name, currency="INR", divide_by=1000)(value)


@given(number=st.decimals(-(10**9), 10**9, places=3), by=st.sampled_from([10, 100, 1000, 10000]))
def test_dividing_moves_the_point_and_nothing_else(number: Decimal, by: int) -> None:
    divided = make_reader("decimal", divide_by=by)(str(number))
    assert Decimal(divided) * by == number
