from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from engine.failures import Unauthorized
from engine.messages import Request
from engine.model import Auth
from engine.signatures import verify
from engine.signing import Unsignable, sign

AUTH: TypeAdapter[Any] = TypeAdapter(Auth)
SECRETS = {"key": (b"00112233445566778899", b"an older one, not used"), "login": (b"user:password",)}
REQUEST = Request(
    "POST",
    "https://t.example/in",
    "/in",
    (("q", "1"),),
    (),
    b"{}",
    "192.0.2.1",
    datetime(2026, 1, 5, 10, tzinfo=UTC),
)
SCHEMES = st.fixed_dictionaries(
    {
        "scheme": st.just("hmac"),
        "secret": st.just("key"),
        "algorithm": st.sampled_from(["sha1", "sha256", "sha512"]),
        "key": st.sampled_from(["utf8", "hex", "base64"]),
        "sign": st.lists(
            st.sampled_from(
                [
                    "url",
                    "method",
                    {"value": "."},
                    {"query": "q"},
                    {"digest": "sha1"},
                    {"base64": ["raw_body"]},
                ]
            ),
            max_size=3,
        ).map(lambda parts: [*parts, "raw_body"]),
    }
)
SIGNATURES = st.fixed_dictionaries(
    {
        "header": st.just("X-Signature"),
        "encoding": st.sampled_from(["hex", "base64", "base64url"]),
        "prefix": st.sampled_from(["", "sha=", "v1,"]),
        "parser": st.sampled_from(["plain", "list", "pairs"]),
        "separator": st.just(";"),
        "take": st.just("v1"),
    }
)


def with_headers(request: Request, headers: list[tuple[str, str]]) -> Request:
    return replace(request, headers=tuple((name.lower().encode(), value.encode()) for name, value in headers))


@settings(max_examples=150)
@given(
    scheme=SCHEMES,
    signature=SIGNATURES,
    unit=st.sampled_from(["s", "ms", "rfc3339"]),
    body=st.binary(max_size=50),
    bit=st.integers(0, 7),
    at=st.integers(0, 1000),
)
def test_a_signed_request_verifies_and_one_changed_byte_does_not(
    scheme: dict[str, Any], signature: dict[str, Any], unit: str, body: bytes, bit: int, at: int
) -> None:
    stamp = {"signature": "t"} if signature["parser"] == "pairs" else {"header": "X-Time"}
    signs = [*scheme["sign"], stamp]
    auth = AUTH.validate_python({**scheme, "sign": signs, "signature": signature, "timestamp": {**stamp, "unit": unit}})
    request = replace(REQUEST, body=body)
    signed = with_headers(request, sign(auth, request, SECRETS))

    verify(auth, signed, SECRETS)

    at %= len(body) + 1
    changed = body[:at] + (bytes([body[at] ^ (1 << bit)]) if at < len(body) else b"x") + body[at + 1 :]
    with pytest.raises(Unauthorized) as refused:
        verify(auth, replace(signed, body=changed), SECRETS)
    assert refused.value.failure.code == "signature_mismatch"


TOKEN = {"scheme": "token", "header": "X-Token", "prefix": "Bearer ", "secret": "key"}
BASIC = {"scheme": "basic", "secret": "login"}
HMAC = {"scheme": "hmac", "algorithm": "sha256", "secret": "key", "signature": {"header": "X-Signature"}}


@pytest.mark.parametrize("auth", [{"scheme": "none"}, TOKEN, BASIC, {"all": [TOKEN, BASIC, HMAC]}, {"any": [TOKEN]}])
def test_every_scheme_can_be_signed(auth: dict[str, Any]) -> None:
    made = AUTH.validate_python(auth)
    verify(made, with_headers(REQUEST, sign(made, REQUEST, SECRETS)), SECRETS)


def test_of_alternatives_the_first_that_has_a_secret_is_signed() -> None:
    auth = AUTH.validate_python({"any": [{**TOKEN, "secret": "absent"}, BASIC]})
    assert [name for name, _ in sign(auth, REQUEST, SECRETS)] == ["Authorization"]


@pytest.mark.parametrize(
    "auth",
    [
        {**TOKEN, "secret": "absent"},
        {**HMAC, "secret": "absent"},
        {**BASIC, "secret": "absent"},
        {"scheme": "token", "query": "token", "secret": "key"},
        {**HMAC, "sign": [{"header": "X-Id"}]},
        {**HMAC, "signature": {"header": "X-Signature", "parser": "pairs"}},
    ],
)
def test_what_cannot_be_signed_is_said(auth: dict[str, Any]) -> None:
    with pytest.raises(Unsignable, match=r"^\w.*\.$"):
        sign(AUTH.validate_python(auth), REQUEST, SECRETS)
