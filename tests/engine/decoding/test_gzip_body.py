from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decoding import gzip_body
from engine.failures import Failure, Refusal

Decode = Callable[..., Any]
Refused = Callable[..., Failure]
GZIP = ("Content-Encoding", "gzip")
BODY = gzip.compress(b'{"a": 1}')


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "identity, gzip"])
def test_a_compressed_body_is_expanded(decoded: Decode, encoding: str) -> None:
    assert decoded(BODY, ("Content-Encoding", encoding), gzip=True) == {"a": "1"}


def test_several_members_are_read_as_one(decoded: Decode) -> None:
    assert decoded(gzip.compress(b"[1,") + gzip.compress(b"2]"), GZIP, gzip=True) == ["1", "2"]


@pytest.mark.parametrize("headers", [[], [("Content-Encoding", "identity")]])
def test_a_body_without_content_encoding_is_read_as_it_is(decoded: Decode, headers: list[tuple[str, str]]) -> None:
    assert decoded(b'{"a": 1}', *headers, gzip=True) == {"a": "1"}


@pytest.mark.parametrize(
    "body",
    [BODY[:-1], BODY[:5], BODY + b"x", BODY[:-5] + bytes([BODY[-5] ^ 1]) + BODY[-4:], b'{"a": 1}', BODY * 20],
    ids=["truncated", "header", "trailing", "checksum", "plain", "members"],
)
def test_what_is_not_whole_gzip_is_refused(refused: Refused, body: bytes) -> None:
    assert refused(body, GZIP, gzip=True).code == "gzip_malformed"


def test_a_bomb_is_stopped_at_the_limit(refused: Refused) -> None:
    bomb = gzip.compress(b"[" + b" " * 20_000_000 + b"]")
    assert refused(bomb, GZIP, gzip=True).code == "gzip_too_large"
    assert refused(BODY, GZIP, gzip=True, limits={"body": 7}).code == "gzip_too_large"


def test_a_body_of_exactly_the_limit_is_read(decoded: Decode) -> None:
    assert decoded(BODY, GZIP, gzip=True, limits={"body": 8}) == {"a": "1"}


@pytest.mark.parametrize(("encoding", "allowed"), [("gzip", False), ("br", True), ("gzip, gzip", True)])
def test_any_other_content_encoding_is_refused(refused: Refused, encoding: str, allowed: bool) -> None:
    failure = refused(BODY, ("Content-Encoding", encoding), gzip=allowed)
    assert failure.code == "content_encoding_unsupported"


@settings(max_examples=100)
@given(body=st.binary(max_size=40) | st.binary(max_size=10).map(lambda tail: BODY[:10] + tail))
def test_arbitrary_bytes_give_bytes_or_a_refusal(body: bytes) -> None:
    try:
        expanded = gzip_body.expand(body, "gzip", allowed=True, limit=100)
    except Refusal:
        return
    assert len(expanded) <= 100
