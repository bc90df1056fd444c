from __future__ import annotations

import contextlib

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decoding.jwt_claims import decode
from engine.failures import Refusal

SECRET = "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize("form", ["{}", '"{}"', " {}\n"])
def test_the_document_is_the_claims_with_numbers_as_text(form: str) -> None:
    token = jwt.encode({"data": '{"a": 1}', "iat": 17, "price": 4.5}, SECRET)
    assert decode(form.format(token).encode(), values=9) == {"data": '{"a": 1}', "iat": "17", "price": "4.5"}


@given(st.binary(max_size=80) | st.from_regex(rb"[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,9}"))
def test_what_is_no_token_is_refused_and_never_a_fault(body: bytes) -> None:
    with contextlib.suppress(Refusal):
        assert isinstance(decode(body, values=9), dict | list)


@pytest.mark.parametrize("body", [b"", b"a.b", b"a.b.c.d", b"a.*.c", b"a.MQ.c", b"a.e30x.c", b"\xff.\xff.\xff"])
def test_a_body_without_claims_is_a_validation_failure(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        decode(body, values=9)
    assert refused.value.failure.cls == "validation"
