from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import Request
from flows.sealing import Secrecy, opened, query_pairs, sealed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRECY = Secrecy(frozenset({b"authorization", b"x-api-key"}), frozenset({"token"}), body=False)


def seal(plain: bytes) -> bytes:
    return bytes(255 - byte for byte in plain)


def request(headers=(), url="http://h/p", body=b"{}") -> Request:
    _, _, query = url.partition("?")
    return Request("POST", url, "/p", query_pairs(query), tuple(headers), body, "192.0.2.1", NOW)


def there_and_back(original: Request, secrecy: Secrecy) -> Request:
    kept = sealed(original, secrecy, seal)
    row = SimpleNamespace(method="POST", peer="192.0.2.1", received_at=NOW, **asdict_of(kept))
    return opened(row, seal)


def asdict_of(kept) -> dict:
    return kept._asdict()


def in_the_open(original: Request, secrecy: Secrecy = SECRECY) -> bytes:
    kept = sealed(original, secrecy, seal)
    return kept.url.encode() + kept.headers + kept.body


def test_a_token_in_a_header_is_not_stored_in_the_open():
    assert b"hush" not in in_the_open(request([(b"x-api-key", b"hush")]))


def test_other_headers_are_stored_in_the_open():
    assert b"application/json" in in_the_open(request([(b"content-type", b"application/json")]))


@pytest.mark.parametrize(
    "url", ["http://h/p?token=hush", "http://h/p?a=1&tok%65n=hush&b=2", "http://h/p?token=x&token=hush"]
)
def test_a_token_in_the_query_is_not_stored_in_the_open(url):
    assert b"hush" not in in_the_open(request(url=url))


def test_a_body_with_a_secret_is_stored_encrypted():
    secrecy = Secrecy(frozenset(), frozenset(), body=True)
    assert b"hush" not in in_the_open(request(body=b'{"secret":"hush"}'), secrecy)


names = st.sampled_from([b"authorization", b"x-api-key", b"x-other", b"\xff\xfe"])
values = st.binary(max_size=20)
urls = st.sampled_from(
    ["http://h/p", "http://h/p?", "http://h/p?token=a%20b&x=1", "http://h/p?x=%FF&token", "http://h/p?&&="]
)


@given(st.lists(st.tuples(names, values), max_size=5), urls, st.binary(max_size=50), st.booleans())
def test_the_exact_request_comes_back(headers, url, body, sealed_body):
    original = request(headers, url, body)
    assert there_and_back(original, Secrecy(SECRECY.headers, SECRECY.query, sealed_body)) == original
