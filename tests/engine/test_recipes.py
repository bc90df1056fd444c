from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter

from engine.messages import Request
from engine.recipe_model import RecipePart
from engine.recipes import PartMissing, bytes_to_sign
from engine.request_parts import BodyUnread, Repeated, RequestParts
from engine.signature_values import Malformed, Signed

RECIPE: TypeAdapter[Any] = TypeAdapter(tuple[RecipePart, ...])
BODY = b'{ "id": 4.10,\n "note": "a \\"b\\" \\u00e9 ", "tags": [1, 2] }'


def put_together(*recipe: Any, body: bytes = BODY, signed: Signed | None = None, **left_out: Any) -> bytes:
    request = Request(
        method="POST",
        url="https://t.example/in?b=2&a=1",
        path="/in",
        query=(("b", "2"), ("a", "1"), ("sig", "x")),
        headers=((b"x-id", b"m1"), (b"x-twice", b"1"), (b"x-twice", b"2")),
        body=body,
        peer="192.0.2.1",
        received_at=datetime(2026, 1, 5, tzinfo=UTC),
    )
    return bytes_to_sign(RECIPE.validate_python(recipe), RequestParts(request), signed or Signed(()), **left_out)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("raw_body", BODY),
        ("minified_body", b'{"id":4.10,"note":"a \\"b\\" \\u00e9 ","tags":[1,2]}'),
        ("url", b"https://t.example/in?b=2&a=1"),
        ("method", b"POST"),
        ({"header": "X-Id"}, b"m1"),
        ({"query": "a"}, b"1"),
        ({"body": "id"}, b"4.10"),
        ({"body": "note"}, 'a "b" é '.encode()),
        ({"body": "tags"}, b"[1, 2]"),
        ({"body": "tags[1]"}, b"2"),
        ({"value": "v0:"}, b"v0:"),
        ({"digest": "sha256"}, hashlib.sha256(BODY).hexdigest().encode()),
        ({"digest": "sha1", "encoding": "base64"}, base64.b64encode(hashlib.sha1(BODY).digest())),
        ({"base64": ["raw_body", {"value": "!"}]}, base64.b64encode(BODY + b"!")),
        ({"sorted_params": "query"}, b"a=1&b=2&sig=x"),
        ({"sorted_params": "query", "pair": "", "between": ""}, b"a1b2sigx"),
    ],
    ids=str,
)
def test_a_part_gives_its_bytes(part: Any, expected: bytes) -> None:
    assert put_together(part) == expected


def test_parts_stand_one_after_another() -> None:
    assert put_together("method", {"value": "."}, {"header": "x-id"}) == b"POST.m1"


def test_sorted_parameters_leave_the_signature_out() -> None:
    assert put_together({"sorted_params": "query"}, left_out=("query", "sig")) == b"a=1&b=2"


def test_sorted_parameters_of_query_and_form_are_sorted_together() -> None:
    joined = put_together({"sorted_params": "query_and_form"}, body=b"aa=%C3%A9&b=1")
    assert joined == "a=1&aa=é&b=1&b=2&sig=x".encode()


def test_a_part_of_the_signature_is_its_text() -> None:
    assert put_together({"signature": "t"}, signed=Signed((), {"t": ["12"]})) == b"12"


def test_a_part_of_the_signature_that_stands_twice_is_malformed() -> None:
    with pytest.raises(Malformed):
        put_together({"signature": "t"}, signed=Signed((), {"t": ["12", "13"]}))


@pytest.mark.parametrize("part", [{"header": "y"}, {"query": "y"}, {"body": "y"}, {"body": "id.y"}, {"signature": "y"}])
def test_an_absent_part_is_missing(part: Any) -> None:
    with pytest.raises(PartMissing):
        put_together(part)


def test_a_header_that_stands_twice_is_repeated() -> None:
    with pytest.raises(Repeated):
        put_together({"header": "x-twice"})


@pytest.mark.parametrize("part", ["minified_body", {"body": "a"}])
@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,"a":2}', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_strict_json_is_unread(part: Any, body: bytes) -> None:
    with pytest.raises(BodyUnread):
        put_together(part, body=body)
