from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.signature_timestamps import write
from engine.ws_security import username_token
from tests.engine.auth_cases import NOW, code, request

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TEXT = {"scheme": "ws_security", "secret": "login"}
DIGEST = {**TEXT, "password": "digest"}


def envelope(token: str, space: str = SOAP, before: str = "") -> bytes:
    return f'{before}<s:Envelope xmlns:s="{space}"><s:Header>{token}</s:Header><s:Body/></s:Envelope>'.encode()


def token(user: str = "user", password: str = "password", digest: bool = False, seconds: int = 0) -> str:
    return username_token(
        user, password, digest, write(NOW - timedelta(seconds=seconds), "rfc3339"), b"0123456789abcdef"
    )


@pytest.mark.parametrize("space", [SOAP, "http://www.w3.org/2003/05/soap-envelope"])
@pytest.mark.parametrize(("auth", "digest"), [(TEXT, False), (DIGEST, True)])
def test_a_username_token_verifies(auth: dict[str, Any], digest: bool, space: str) -> None:
    assert code(auth, request(envelope(token(digest=digest), space))) == ""


@pytest.mark.parametrize(("user", "password"), [("user", "passwore"), ("usep", "password"), ("userp", "assword")])
@pytest.mark.parametrize("digest", [False, True])
def test_another_user_or_password_does_not_match(user: str, password: str, digest: bool) -> None:
    sent = request(envelope(token(user, password, digest)))
    assert code(DIGEST if digest else TEXT, sent) == "credentials_mismatch"


def test_the_type_of_the_password_is_the_files_choice() -> None:
    assert code(TEXT, request(envelope(token(digest=True)))) == "credentials_malformed"
    assert code(DIGEST, request(envelope(token()))) == "credentials_malformed"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, ""), (300, ""), (301, "timestamp_outside_tolerance"), (-61, "timestamp_outside_tolerance")],
)
def test_a_digest_holds_for_five_minutes_where_the_file_says_nothing(seconds: int, expected: str) -> None:
    assert code(DIGEST, request(envelope(token(digest=True, seconds=seconds)))) == expected


def test_a_password_in_text_ages_where_the_file_says_so() -> None:
    old = request(envelope(token(seconds=600)))
    assert code(TEXT, old) == ""
    assert code({**TEXT, "tolerance": "5m"}, old) == "timestamp_outside_tolerance"


ENTITY = '<!DOCTYPE s [<!ENTITY e "user"><!ENTITY f SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "body_unreadable"),
        (b"<", "body_unreadable"),
        (b"\xff\xfe<", "body_unreadable"),
        (b"<a/>", "body_unreadable"),
        (b"{}", "body_unreadable"),
        (envelope(token(), before=ENTITY), "body_unreadable"),
        (envelope(token().replace(">user<", ">&e;<"), before=ENTITY), "body_unreadable"),
        (envelope(token().replace(">user<", ">&lt;<")), "credentials_mismatch"),
        (envelope(token() * 2), "credentials_malformed"),
        (envelope(""), "credentials_missing"),
        (envelope("").replace(b"Header", b"Hdr"), "credentials_missing"),
        (envelope(token("")), "credentials_missing"),
        (envelope(token(password="")), "credentials_missing"),
        (envelope(token().replace(">user<", "><b>user</b><")), "credentials_missing"),
    ],
)  # fmt: skip
def test_what_is_no_single_username_token_is_refused(body: bytes, expected: str) -> None:
    assert code(TEXT, request(body)) == expected


@pytest.mark.parametrize("written", ["", "soon", "2026-01-05T10:00:00"])
def test_a_digest_without_a_time_is_refused(written: str) -> None:
    made = username_token("user", "password", True, written, b"n")
    assert code(DIGEST, request(envelope(made))).startswith("timestamp_")
