"""Near misses of signatures, and that nothing secret is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.auth_model import HmacScheme, TokenScheme
from engine.messages import Request
from flows.explaining.signatures import explain_signature

SECRET, OLDER = b"correct-horse-0192", b"battery-staple-0191"
BODY = b'{"shop": "a/b", "id": 1}\n'
URL = "https://tiffin.example/v1/integrations/erp/corner/webhooks/stock"


def scheme(**changes: Any) -> HmacScheme:
    plain = {"scheme": "hmac", "algorithm": "sha256", "secret": "key", "signature": {"header": "X-Sign"}}
    return HmacScheme.model_validate({**plain, **changes}, by_alias=True, by_name=False)


def request(signature: str, body: bytes = BODY, url: str = URL) -> Request:
    at = datetime(2026, 2, 3, 9, tzinfo=UTC)
    return Request("POST", url, "/", (), ((b"x-sign", signature.encode()),), body, "", at)


def signed(data: bytes, key: bytes = SECRET, algorithm: str = "sha256") -> str:
    return hmac.digest(key, data, algorithm).hex()


def near(scheme_: HmacScheme | TokenScheme, asked: Request, *secrets: bytes) -> list[str]:
    (told,) = explain_signature(scheme_, asked, {"key": secrets or (SECRET,)})
    found: list[str] = told["near"]
    return found


def test_a_right_signature_holds_and_shows_the_bytes() -> None:
    (told,) = explain_signature(scheme(), request(signed(BODY)), {"key": (SECRET,)})
    assert (told["holds"], told["bytes"], told["length"]) == (True, BODY.decode(), len(BODY))


def test_the_older_secret_is_named() -> None:
    assert near(scheme(), request(signed(BODY, OLDER)), SECRET, OLDER) == ["matches with the older secret (2.)"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (URL + "/", "matches if the URL ends with a slash"),
        (URL.replace("https", "http"), "matches if the URL begins with http"),
    ],
)
def test_another_spelling_of_the_url_is_named(url: str, says: str) -> None:
    signature = signed(url.encode() + BODY)
    assert near(scheme(sign=["url", "raw_body"]), request(signature)) == [says]


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        (signed(BODY.rstrip()), "matches if the body has no line feed at its end"),
        (signed(BODY, algorithm="sha1"), "matches if the algorithm is sha1"),
        (base64.b64encode(hmac.digest(SECRET, BODY, "sha256")).decode(), "matches if the signature is read as base64"),
        ("sha256=" + signed(BODY), "matches if the signature's prefix is sha256="),
        (signed(BODY, SECRET + b"\n"), "matches if the secret ends with a line feed"),
        (signed(URL.encode() + BODY), "matches if the URL and the raw body are signed"),
        (signed(BODY.replace(b"/", b"\\/")), "matches if slashes in the body are escaped"),
    ],
)
def test_one_thing_that_differs_is_named(signature: str, says: str) -> None:
    assert near(scheme(), request(signature)) == [says]


def test_two_things_that_differ_are_named_together() -> None:
    signature = signed(f"{URL}/".encode() + BODY, algorithm="sha512")
    assert near(scheme(sign=["url", "raw_body"]), request(signature)) == [
        "matches if the URL ends with a slash and the algorithm is sha512"
    ]


def test_a_signature_by_another_secret_has_no_near_miss() -> None:
    assert near(scheme(), request(signed(BODY, b"somebody-else-0192"))) == []


def test_an_altered_body_has_no_near_miss() -> None:
    asked = request(signed(BODY))
    assert near(scheme(), replace(asked, body=asked.body.replace(b"1", b"2"))) == []


def test_no_secret_and_no_right_signature_is_told() -> None:
    body = b'{"token": "' + SECRET + b'"}'
    told = explain_signature(scheme(), request(signed(b"x"), body), {"key": (SECRET,)})
    assert told[0]["bytes"] == '{"token": "•••"}'
    assert SECRET.decode() not in str(told)
    assert hashlib.new("sha256", b"").hexdigest() not in str(told)
    assert signed(body) not in str(told)


def test_a_token_behind_an_unexpected_prefix_is_named() -> None:
    token = TokenScheme.model_validate({"scheme": "token", "header": "X-Sign", "secret": "key"})
    assert near(token, request(f"Bearer {SECRET.decode()}")) == ["matches if the prefix is Bearer"]


def test_a_token_in_another_header_is_named() -> None:
    token = TokenScheme.model_validate({"scheme": "token", "header": "X-Key", "secret": "key"})
    assert near(token, request(SECRET.decode())) == ["matches if the token is looked for in the header x-sign"]
