from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decoding import form
from engine.failures import Failure, Refusal

Decode = Callable[..., Any]
Refused = Callable[..., Failure]


def test_fields_become_texts(decoded: Decode) -> None:
    assert decoded(b"a=1&b=x+y&c=%C3%A9&d=", accept="form") == {"a": "1", "b": "x y", "c": "é", "d": ""}


def test_a_repeated_field_becomes_a_list(decoded: Decode) -> None:
    assert decoded(b"a=1&b=2&a=3&a=4", accept="form") == {"a": ["1", "3", "4"], "b": "2"}


def test_a_value_may_hold_an_equals_sign(decoded: Decode) -> None:
    assert decoded(b"token=abc==&", accept="form") == {"token": "abc=="}


def test_a_declared_latin_1_form_is_read(decoded: Decode) -> None:
    header = ("Content-Type", "application/x-www-form-urlencoded; charset=latin1")
    assert decoded(b"a=caf%E9", header, accept="form") == {"a": "café"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_empty"),
        (b"&&", "body_empty"),
        (b"a=%", "body_not_form"),
        (b"a=%zz", "body_not_form"),
        (b"a", "body_not_form"),
        (b"=1", "body_not_form"),
        (b'{"a": 1}', "body_not_form"),
        (b"a=%FF", "body_wrong_charset"),
        (b"a=\xff", "body_wrong_charset"),
        (b"a=%ED%A0%80", "body_wrong_charset"),
        (b"a=%00", "body_nul"),
        (b"a=1&" * 1001, "body_too_many_fields"),
    ],
)
def test_what_is_no_strict_form_is_refused(refused: Refused, body: bytes, code: str) -> None:
    assert refused(body, accept="form").code == code


def test_a_refusal_names_the_field(refused: Refused) -> None:
    assert refused(b"a=1&b=%FF", accept="form").facts == {"field": 2}


def test_a_thousand_fields_are_read_also_between_empty_ones(decoded: Decode) -> None:
    assert len(decoded(b"&&&".join(b"f%d=1" % i for i in range(1000)), accept="form")) == 1000


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)


@settings(max_examples=200)
@given(fields=st.dictionaries(NAMES, NAMES | st.just(""), min_size=1, max_size=5))
def test_an_encoded_form_reads_as_its_fields(fields: dict[str, str]) -> None:
    assert form.decode(urlencode(fields).encode()) == fields


@settings(max_examples=200)
@given(body=st.binary(max_size=30))
def test_arbitrary_bytes_give_fields_or_a_refusal(body: bytes) -> None:
    try:
        fields = form.decode(body)
    except Refusal:
        return
    assert fields
