from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decoding import json_text
from engine.failures import Failure, Refusal

Decode = Callable[..., Any]
Refused = Callable[..., Failure]
LATIN = ("Content-Type", "application/json; charset=ISO-8859-1")


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-0",
        "-1",
        "4.10",
        "1.0",
        "-0.0",
        "1e400",
        "1E+5",
        "-0e1",
        "271878346596884015",
        "9" * 64,
        "0." + "1" * 62,
    ],
)
@pytest.mark.parametrize(
    "frame", ["[%s]", "[ %s ]", '{"a":%s}', '{"a":\n\t%s}', '["x",%s,true]', '[[],{"a":[%s,"-0"]}]']
)
def test_a_number_becomes_its_source_text(number: str, frame: str) -> None:
    body = (frame % number).encode()
    assert json_text.decode(body) == json.loads(body, parse_int=str, parse_float=str)


def test_texts_that_look_like_numbers_stay(decoded: Decode) -> None:
    body = b'{"a": "1", "b": "x -0 [1", "c": "-0", "d": ", 5", "e": "2026-01-05 10:30"}'
    assert decoded(body) == json.loads(body)


def test_booleans_and_null_stay(decoded: Decode) -> None:
    assert decoded(b'[true, false, null, {"a": true, "n": 1}]') == [True, False, None, {"a": True, "n": "1"}]


def test_keys_that_are_digits_stay_keys(decoded: Decode) -> None:
    assert decoded(b'{"0": 1, "1": "x"}') == {"0": "1", "1": "x"}


def test_a_byte_order_mark_and_white_space_are_stripped(decoded: Decode) -> None:
    assert decoded(b'\xef\xbb\xbf\r\n {"a": 1}\n') == {"a": "1"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_empty"),
        (b" \n", "body_empty"),
        (b"\xef\xbb\xbf", "body_empty"),
        (b'"text"', "body_not_document"),
        (b"12", "body_not_document"),
        (b"-0", "body_not_document"),
        (b"null", "body_not_document"),
        (b"{", "body_not_json"),
        (b'{"a": 1}}', "body_not_json"),
        (b'{"a": 1} x', "body_not_json"),
        (b"[1,]", "body_not_json"),
        (b"[01]", "body_not_json"),
        (b"[NaN]", "body_not_json"),
        (b"[Infinity]", "body_not_json"),
        (b"[-Infinity]", "body_not_json"),
        (b"{'a': 1}", "body_not_json"),
        (b'["a\tb"]', "body_not_json"),
        (b"<xml/>", "body_not_json"),
        (b'{"a": 1, "a": 2}', "body_duplicate_key"),
        (b'[{"x": {"a": 1, "\\u0061": 2}}]', "body_duplicate_key"),
        (b"[" * 202 + b"]" * 202, "body_too_deep"),
        (b"[" * 100_000, "body_too_deep"),
        (b'{"a":' * 100_000, "body_too_deep"),
        (b"[" + b"9" * 65 + b"]", "body_number_too_long"),
        (b"[" + b"9" * 4301 + b"]", "body_number_too_long"),
        (b"[" + b"9" * 90_000 + b"]", "body_number_too_long"),
        (b"[0." + b"1" * 90_000 + b"]", "body_number_too_long"),
        (b"[-0, " + b"9" * 65 + b"]", "body_number_too_long"),
        (b'["\\ud800"]', "body_lone_surrogate"),
        (b'["\\udc00 x"]', "body_lone_surrogate"),
        (b'["\\ud83d\\u0041"]', "body_lone_surrogate"),
        (b'{"a\\u0000": 1}', "body_nul"),
        (b'[["x\\u0000"]]', "body_nul"),
        (b'["\xff"]', "body_wrong_charset"),
        (b'["\xed\xa0\x80"]', "body_wrong_charset"),
        ('{"a": 1}'.encode("utf-16"), "body_wrong_charset"),
        ('{"a": 1}'.encode("utf-16-le"), "body_wrong_charset"),
        ('{"a": 1}'.encode("utf-16-be"), "body_wrong_charset"),
        ('{"a": 1}'.encode("utf-32"), "body_wrong_charset"),
    ],
)
def test_what_is_no_strict_document_is_refused(refused: Refused, body: bytes, code: str) -> None:
    assert refused(body).code == code


@pytest.mark.parametrize("values", [b"[],", b"{},", b"1,", b'"",', b"[[[[]]]],"], ids=lambda value: value.decode())
def test_more_than_a_million_values_are_refused(refused: Refused, values: bytes) -> None:
    failure = refused(b"[" + values * 1_000_001 + b"1]")
    assert failure.code == "body_too_many_values"


def test_commas_within_texts_are_no_values(decoded: Decode) -> None:
    body = b'["' + b',[{\\"' * 1_000_001 + b'"]'
    assert decoded(body) == json.loads(body)


def test_nesting_of_201_levels_is_read(decoded: Decode) -> None:
    assert decoded(b"[" * 201 + b"]" * 201)


def test_an_escaped_backslash_before_u0000_is_no_nul(decoded: Decode) -> None:
    assert decoded(b'["\\\\u0000"]') == ["\\u0000"]


def test_a_refusal_names_line_and_column(refused: Refused) -> None:
    failure = refused(b'{"a": 1,\n  "b": nope}')
    assert (failure.facts["line"], failure.facts["column"]) == (2, 9)
    assert "line 2 column 9" in failure.message


def test_a_long_number_is_named_by_its_place_outside_texts(refused: Refused) -> None:
    nines = b"9" * 70
    failure = refused(b'{"a": "' + nines + b' \\" ",\n "b": [1, ' + nines + b"]}")
    assert (failure.facts["line"], failure.facts["column"]) == (2, 11)


def test_a_number_is_too_long_also_where_the_interpreter_reads_fewer_digits(refused: Refused) -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert refused(b"[" + b"9" * 700 + b"]").code == "body_number_too_long"
    finally:
        sys.set_int_max_str_digits(before)


def test_a_duplicate_key_is_named(refused: Refused) -> None:
    assert refused(b'{"price": 1, "price": 2}').facts["key"] == "'price'"


def test_a_declared_latin_1_body_is_read(decoded: Decode) -> None:
    assert decoded(b'{"a": "caf\xe9"}', LATIN) == {"a": "café"}


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"utf-8"', "us-ascii", "windows-1252"])
def test_other_names_of_readable_charsets_are_known(decoded: Decode, charset: str) -> None:
    assert decoded(b'{"a": 1}', ("Content-Type", f"application/json;charset={charset}")) == {"a": "1"}


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "idna", "rot13", "zip", "nonsense"])
def test_any_other_declared_charset_is_refused(refused: Refused, charset: str) -> None:
    assert refused(b'{"a": 1}', ("Content-Type", f"application/json; charset={charset}")).code == "body_wrong_charset"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
NUMBERS = st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
NUMBER_LIKE = st.sampled_from(["-0", " -0", "[1", ": 5", ",-0", "1e5"])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | NUMBER_LIKE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | NUMBER_LIKE, inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.lists(VALUES, max_size=5) | st.dictionaries(TEXT, VALUES, max_size=5)


def texts_of(value: Any) -> Any:
    """The same structure with numbers written as json.dumps writes them."""
    if isinstance(value, dict):
        return {key: texts_of(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [texts_of(inner) for inner in value]
    if value is None or isinstance(value, bool | str):
        return value
    return json.dumps(value)


@settings(max_examples=300)
@given(document=DOCUMENTS, ascii_only=st.booleans(), indent=st.none() | st.integers(0, 2))
def test_a_document_keeps_its_structure_with_numbers_as_their_source_text(
    document: Any, ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    assert json_text.decode(body) == texts_of(document)


@settings(max_examples=300)
@given(
    body=st.binary(max_size=40)
    | st.text('{}[]",:-0.1eE\\u \ud800ntf', max_size=40).map(lambda t: t.encode("utf-8", "replace"))
)
def test_arbitrary_bytes_give_a_document_or_a_refusal(body: bytes) -> None:
    try:
        document = json_text.decode(body)
    except Refusal:
        return
    assert isinstance(document, dict | list)
