from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from engine.failures import Unauthorized
from engine.messages import Request
from engine.model import Auth
from engine.signatures import UnusableSecret, locations, schemes_of, secret_names, usable_secret, verify
from tests.engine.auth_cases import KEYS, public_der, public_pem

AUTH: TypeAdapter[Any] = TypeAdapter(Auth)
NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
SECRET = b"a secret of some length"
TOKEN = {"scheme": "token", "header": "X-Token", "secret": "key"}
HMAC = {"scheme": "hmac", "algorithm": "sha256", "secret": "key", "signature": {"header": "X-Signature"}}
STAMPED = {
    **HMAC,
    "sign": [{"signature": "t"}, {"value": "."}, "raw_body"],
    "signature": {"header": "X-Signature", "parser": "pairs", "take": "v1"},
    "timestamp": {"signature": "t", "tolerance": "5m", "future": "1m"},
}


def request(body: bytes = b"{}", query: tuple[tuple[str, str], ...] = (), **headers: str | bytes) -> Request:
    named = tuple(
        (name.replace("_", "-").lower().encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in headers.items()
    )
    return Request("POST", "https://t.example/in", "/in", query, named, body, "192.0.2.1", NOW)


def with_headers(*headers: tuple[bytes, bytes], body: bytes = b"{}") -> Request:
    return Request("POST", "https://t.example/in", "/in", (), headers, body, "192.0.2.1", NOW)


def check(auth: dict[str, Any], sent: Request, *secrets: bytes) -> None:
    verify(AUTH.validate_python(auth), sent, {"key": secrets or (SECRET,)})


def code(auth: dict[str, Any], sent: Request, *secrets: bytes) -> str:
    with pytest.raises(Unauthorized) as refused:
        check(auth, sent, *secrets)
    assert refused.value.failure.cls == "auth"
    assert refused.value.failure.message
    assert refused.value.failure.next_step
    return refused.value.failure.code


def signature(body: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def stamped(at: datetime, body: bytes = b"{}") -> Request:
    seconds = str(int(at.timestamp()))
    return request(body, x_signature=f"t={seconds},v1={signature(seconds.encode() + b'.' + body)}")


def test_none_lets_everything_pass() -> None:
    check({"scheme": "none"}, request())


# ---- tokens ----


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        ({"header": "x-token"}, request(x_token=SECRET)),
        ({"query": "token"}, request(query=(("token", SECRET.decode()),))),
        ({"form": "token"}, request(b"a=1&token=a+secret+of+some+length")),
        ({"body": "auth.token"}, request(b'{"auth": {"token": "a secret of some l\\u0065ngth"}}')),
        (
            {"body": "tokens[1]"},
            request(b'["x"]'.replace(b'["x"]', b'{"tokens": ["x", "a secret of some length"]}')),
        ),
    ],
    ids=["header", "query", "form", "body", "list"],
)
def test_a_token_is_found_where_the_file_says(place: dict[str, str], sent: Request) -> None:
    check({"scheme": "token", "secret": "key", **place}, sent)


def test_a_token_is_compared_with_every_secret() -> None:
    check(TOKEN, request(x_token="older token"), b"newer token", b"older token")


def test_a_numeric_body_token_is_compared_by_its_source_text() -> None:
    auth = {"scheme": "token", "secret": "key", "body": "pin"}
    check(auth, request(b'{"pin": 00}'.replace(b"00", b"1234567890123456789012")), b"1234567890123456789012")
    assert code(auth, request(b'{"pin": 4.10}'), b"4.1") == "token_mismatch"


def test_a_prefix_is_taken_off_a_token_in_any_case() -> None:
    check({**TOKEN, "prefix": "Bearer "}, request(x_token=b"bearer " + SECRET))


def test_a_token_without_its_prefix_does_not_match() -> None:
    assert code({**TOKEN, "prefix": "Bearer "}, request(x_token=SECRET)) == "token_mismatch"


@pytest.mark.parametrize("sent", [request(), request(x_token=""), request(x_token="  ")])
def test_an_absent_token_is_missing(sent: Request) -> None:
    assert code(TOKEN, sent) == "token_missing"


@pytest.mark.parametrize("value", [b"wrong", SECRET + b"x", SECRET[:-1], b"\xff\xfe", b"x" * 100_000])
def test_another_token_does_not_match(value: bytes) -> None:
    assert code(TOKEN, request(x_token=value)) == "token_mismatch"


def test_a_repeated_token_header_is_refused_even_when_one_is_right() -> None:
    assert code(TOKEN, with_headers((b"x-token", SECRET), (b"x-token", b"other"))) == "token_mismatch"


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,"a":2}', b"[" * 5000, b"\xff", b'{"a": NaN}', b'["\\ud800"]'])
def test_a_token_in_an_unreadable_body_is_body_unreadable(body: bytes) -> None:
    assert code({"scheme": "token", "secret": "key", "body": "token"}, request(body)) == "body_unreadable"


def test_a_token_in_a_body_that_is_no_form_is_body_unreadable() -> None:
    assert code({"scheme": "token", "secret": "key", "form": "token"}, request(b"%zz=1")) == "body_unreadable"


@pytest.mark.parametrize("secrets", [(b"",), (b"", b"")])
def test_an_empty_secret_never_verifies(secrets: tuple[bytes, ...]) -> None:
    assert code(TOKEN, request(x_token=""), *secrets) == "secret_missing"


def test_a_connection_without_the_secret_is_told_so() -> None:
    with pytest.raises(Unauthorized) as refused:
        verify(AUTH.validate_python(TOKEN), request(x_token="x"), {})
    assert refused.value.failure.code == "secret_missing"


# ---- basic ----

BASIC = {"scheme": "basic", "secret": "key"}


def basic(credentials: bytes) -> Request:
    return request(authorization=b"Basic " + base64.b64encode(credentials))


def test_basic_credentials_verify() -> None:
    check(BASIC, basic(b"user:pass:word"), b"user:pass:word")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (request(), "credentials_missing"),
        (request(authorization="Bearer abc"), "credentials_malformed"),
        (request(authorization="Basic"), "credentials_malformed"),
        (request(authorization="Basic ***"), "credentials_malformed"),
        (request(authorization=b"Basic \xff\xff"), "credentials_malformed"),
        (request(authorization=b"Basic " + base64.b64encode(b"nocolon")), "credentials_malformed"),
        (basic(b"user:wrong"), "credentials_mismatch"),
        (
            with_headers((b"authorization", b"Basic dTpw"), (b"authorization", b"Basic dTpw")),
            "credentials_malformed",
        ),
    ],
)
def test_other_credentials_are_refused(sent: Request, expected: str) -> None:
    assert code(BASIC, sent, b"u:p-longer") == expected


# ---- hmac ----


def test_hmac_verifies_the_raw_body() -> None:
    check(HMAC, request(b'{"a": 1}', x_signature=signature(b'{"a": 1}')))


def test_hmac_rejects_a_body_changed_by_one_byte() -> None:
    assert code(HMAC, request(b'{"a": 2}', x_signature=signature(b'{"a": 1}'))) == "signature_mismatch"


def test_hmac_tries_every_secret() -> None:
    check(HMAC, request(x_signature=signature(b"{}", b"older")), b"newer", b"older")


def test_hmac_reads_upper_case_hex() -> None:
    check(HMAC, request(x_signature=signature(b"{}").upper()))


@pytest.mark.parametrize(
    "value",
    [
        "zz",
        "abc",
        signature(b"{}")[:-1],
        signature(b"{}") + " x",
        "sha256=" + signature(b"{}"),
        b"\xc3\xa9" * 32,
        "0" * 9000,
        "éé",
        "\x00",
    ],
)
def test_a_signature_that_is_no_hex_is_malformed(value: str | bytes) -> None:
    assert code(HMAC, request(x_signature=value)) == "signature_malformed"


@pytest.mark.parametrize("value", [signature(b"{}")[:-2], signature(b"{}") + "00", "00", "ab" * 4000])
def test_a_signature_of_another_length_does_not_match(value: str) -> None:
    assert code(HMAC, request(x_signature=value)) == "signature_mismatch"


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_signature_is_missing(value: str) -> None:
    assert code(HMAC, request(x_signature=value)) == "signature_missing"


def test_a_repeated_signature_header_is_malformed_even_when_one_is_right() -> None:
    good = signature(b"{}").encode()
    assert code(HMAC, with_headers((b"x-signature", good), (b"x-signature", b"00"))) == "signature_malformed"


@pytest.mark.parametrize("value", ["a", "a===", "ab-_", "YWJj\n!", "YWJjZA=", "====", "é"])
def test_a_signature_that_is_no_base64_is_malformed(value: str) -> None:
    auth = {**HMAC, "signature": {"header": "X-Signature", "encoding": "base64"}}
    assert code(auth, request(x_signature=value)) == "signature_malformed"


@pytest.mark.parametrize("padding", ["", "="])
def test_base64url_is_read_with_and_without_padding(padding: str) -> None:
    digest = bytes.fromhex(signature(b"{}"))
    auth = {**HMAC, "signature": {"header": "X-Signature", "encoding": "base64url"}}
    written = base64.urlsafe_b64encode(digest).decode().rstrip("=") + padding
    check(auth, request(x_signature=written))


@pytest.mark.parametrize(
    ("encoding", "secret"),
    [("hex", b"00ff10aa00ff10aa00ff"), ("base64", b"AP8QqgD/EKoA/w=="), ("base64", b"AP8QqgD/EKoA/w")],
)
def test_a_key_is_decoded_from_its_text(encoding: str, secret: bytes) -> None:
    raw = bytes.fromhex("00ff10aa00ff10aa00ff")
    sent = request(x_signature=signature(b"{}", raw))
    check({**HMAC, "key": encoding, "key_prefix": "key_"}, sent, b"key_" + secret)


@pytest.mark.parametrize(("encoding", "secret"), [("hex", b"xyz"), ("base64", b"***"), ("utf8", b"key_")])
def test_a_secret_that_becomes_no_key_never_verifies(encoding: str, secret: bytes) -> None:
    auth = {**HMAC, "key": encoding, "key_prefix": "key_"}
    assert code(auth, request(x_signature=signature(b"{}", b"")), secret) == "secret_missing"


def test_one_of_several_signatures_in_a_list_is_enough() -> None:
    auth = {
        **HMAC,
        "signature": {"header": "X-Signature", "parser": "list", "prefix": "v1,", "separator": " "},
    }
    check(auth, request(x_signature=f"v2,xx v1,{'0' * 64} v1,zz v1,{signature(b'{}')}"))


def test_a_list_of_very_many_signatures_is_malformed() -> None:
    auth = {**HMAC, "signature": {"header": "X-Signature", "parser": "list"}}
    assert code(auth, request(x_signature=",".join(["00"] * 100))) == "signature_malformed"


def test_a_signature_is_taken_from_the_body() -> None:
    auth = {**HMAC, "sign": [{"body": "id"}], "signature": {"body": "sig"}}
    body = b'{"id": 4.10, "sig": "%s"}' % signature(b"4.10").encode()
    check(auth, request(body))


def test_a_signed_header_that_is_absent_makes_the_signature_malformed() -> None:
    auth = {**HMAC, "sign": [{"header": "X-Id"}, "raw_body"]}
    assert code(auth, request(x_signature=signature(b"{}"))) == "signature_malformed"


# ---- time ----


@pytest.mark.parametrize("seconds", [-60, 0, 300])
def test_a_time_of_signing_within_tolerance_verifies(seconds: int) -> None:
    check(STAMPED, stamped(NOW - timedelta(seconds=seconds)))


@pytest.mark.parametrize("seconds", [-61, 301, 10**7])
def test_a_time_of_signing_outside_tolerance_is_refused(seconds: int) -> None:
    assert code(STAMPED, stamped(NOW - timedelta(seconds=seconds))) == "timestamp_outside_tolerance"


def test_a_rewritten_timestamp_does_not_match() -> None:
    old = stamped(NOW - timedelta(hours=1)).header_values("x-signature")[0]
    fresh = f"t={int(NOW.timestamp())},{old.partition(',')[2]}"
    assert code(STAMPED, request(x_signature=fresh)) == "signature_mismatch"


def test_a_second_timestamp_is_refused() -> None:
    good = stamped(NOW).header_values("x-signature")[0]
    assert code(STAMPED, request(x_signature=f"{good},t=1")) == "timestamp_malformed"


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 16, "１７", "0x10", "+1"])
def test_a_timestamp_that_is_no_number_is_malformed(value: str) -> None:
    auth = {**HMAC, "timestamp": {"header": "X-Time"}}
    assert code(auth, request(x_signature=signature(b"{}"), x_time=value)) == "timestamp_malformed"


def test_an_absent_timestamp_is_missing() -> None:
    auth = {**HMAC, "timestamp": {"header": "X-Time"}}
    assert code(auth, request(x_signature=signature(b"{}"))) == "timestamp_missing"


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("s", "1767607200"),
        ("ms", "1767607200999"),
        ("rfc3339", "2026-01-05T10:00:00Z"),
        ("rfc3339", "2026-01-05T15:30:00.123456789+05:30"),
    ],
)
def test_a_timestamp_is_read_in_its_unit(unit: str, value: str) -> None:
    auth = {**HMAC, "timestamp": {"header": "X-Time", "unit": unit, "tolerance": "1s", "future": "1s"}}
    check(auth, request(x_signature=signature(b"{}"), x_time=value))


@pytest.mark.parametrize(
    "value", ["2026-01-05", "2026-01-05T10:00:00", "2026-13-05T10:00:00Z", "0001-01-01T00:00:00+23:59"]
)
def test_a_timestamp_that_is_no_rfc3339_is_refused(value: str) -> None:
    auth = {**HMAC, "timestamp": {"header": "X-Time", "unit": "rfc3339"}}
    assert code(auth, request(x_signature=signature(b"{}"), x_time=value)).startswith("timestamp_")


def test_a_timestamp_in_the_body_is_read() -> None:
    auth = {**HMAC, "timestamp": {"body": "at", "unit": "ms"}}
    body = b'{"at": 1767607200000}'
    check(auth, request(body, x_signature=signature(body)))


# ---- any, all ----


def test_any_takes_the_one_that_holds() -> None:
    check({"any": [HMAC, TOKEN]}, request(x_token=SECRET))


def test_all_needs_every_one() -> None:
    both = {"all": [HMAC, TOKEN]}
    check(both, request(x_token=SECRET, x_signature=signature(b"{}")))
    assert code(both, request(x_signature=signature(b"{}"))) == "token_missing"


@pytest.mark.parametrize("order", [1, -1])
def test_any_tells_a_mismatch_rather_than_what_is_missing(order: int) -> None:
    auth = {"any": [HMAC, TOKEN][::order]}
    assert code(auth, request(x_token="wrong")) == "token_mismatch"


def test_any_and_all_nest() -> None:
    auth = {"any": [{"all": [TOKEN, HMAC]}, {"any": [BASIC]}]}
    check(auth, request(x_token=SECRET, x_signature=signature(b"{}")))
    check(auth, basic(b"user:password"), b"user:password")


# ---- hostile ----

HOSTILE: list[dict[str, Any]] = [
    TOKEN,
    BASIC,
    HMAC,
    STAMPED,
    {"scheme": "token", "secret": "key", "body": "a.b"},
    {"scheme": "token", "secret": "key", "form": "a"},
    {**HMAC, "sign": ["minified_body", {"sorted_params": "query_and_form"}], "signature": {"query": "s"}},
    {**HMAC, "sign": [{"body": "a[0].b"}], "timestamp": {"body": "t", "unit": "rfc3339"}},
    {**HMAC, "signature": {"header": "X-Signature", "parser": "pairs", "separator": ";"}},
    {**HMAC, "signature": {"header": "X-Signature", "parser": "list", "encoding": "base64url"}},
]
SIGNED = {"secret": "key", "signature": {"header": "X-Signature"}}
PARAMS = {"header": "X-Signature", "parser": "params", "take": "s"}
HOSTILE += [
    {"scheme": "hash", "algorithm": "md5", "sign": ["secret", {"form": "a"}], **SIGNED},
    {"scheme": "rsa", "algorithm": "sha1", **SIGNED},
    {
        "scheme": "rsa",
        "algorithm": "sha1",
        "sign": [{"lines": ["a", "b"]}],
        "signature": {"body": "s"},
        "secret": {"certificate": {"body": "u"}, "hosts": ["*.t.example"]},
    },
    {"scheme": "ecdsa", "form": "raw", "key": "base64", **SIGNED},
    {
        "scheme": "ed25519",
        **SIGNED,
        "signature": PARAMS,
        "timestamp": {"signature": "t", "expires": "e"},
        "secret": {"keyring": "keys", "by": {"signature": "k"}},
    },
    {"scheme": "hmac", "algorithm": "sha1", "each": "a.b", "secret": "key", "signature": {"body": "s"}},
    {
        "scheme": "hmac",
        "algorithm": "sha1",
        "sign": [{"url": "with_port"}, {"sorted_params": "query", "lists": "json"}],
        **SIGNED,
    },
    {"scheme": "jwt", "header": "X-Token", "secret": "key", "issuer": {"body": "a.b"}, "tolerance": "5m"},
    {"scheme": "jwt", "raw_body": True, "secret": "key"},
    {"scheme": "issued", "header": "X-Token", "secret": "key"},
    {"scheme": "ws_security", "secret": "key", "password": "digest"},
    {"scheme": "message_signature", "algorithm": "hmac-sha256", "key": "utf8", "cover": ["@method"], "secret": "key"},
    {"scheme": "address", "allow": ["203.0.113.0/24"]},
]
AUTHS = [AUTH.validate_python(one) for one in [*HOSTILE, {"any": HOSTILE}, {"all": HOSTILE}]]
BYTES = st.binary(max_size=60) | st.sampled_from(
    [
        b"Basic ", b"t=1,v1=00", b"00", b'{"a":{"b":1}}', b"a=1", b'S k="a",t="1",e="2",s="00"', b"a.b.c",
        b'{"a":{"b":[{"s":"00"},{}]}}', b'{"u":"https://a.t.example/x","s":"00"}', b'{"u":"\\ud800","s":"00"}',
        b'a=("@method");created=1;keyid="k"', b"a=:AA==:", b"eyJhbGciOiJub25lIn0.e30.", b"eyJhbGciOiJIUzI1NiJ9.e30.AA",
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/></s:Envelope>',
    ]
)  # fmt: skip
NAMES = st.sampled_from([b"x-token", b"authorization", b"x-signature", b"signature", b"signature-input"]) | st.binary(
    max_size=10
)

EVERY_KIND = {
    "key": (SECRET, public_pem(KEYS["rsa"]), base64.b64encode(public_der(KEYS["ecdsa"]))),
    "keys/a": (b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",),
}


@settings(max_examples=600)
@given(
    auth=st.sampled_from(AUTHS),
    headers=st.lists(st.tuples(NAMES, BYTES), max_size=4),
    query=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=20)), max_size=3),
    body=BYTES,
)
def test_an_arbitrary_request_verifies_or_is_unauthorized(
    auth: Any, headers: list[tuple[bytes, bytes]], query: list[tuple[str, str]], body: bytes
) -> None:
    sent = Request("POST", "https://t.example/in", "/in", tuple(query), tuple(headers), body, "192.0.2.1", NOW)
    with pytest.raises(Unauthorized) as refused:
        verify(auth, sent, EVERY_KIND, {"https://a.t.example/x": b"no certificate"})
    assert refused.value.failure.cls == "auth"


@pytest.mark.parametrize("auth", [TOKEN, BASIC, HMAC, STAMPED], ids=["token", "basic", "hmac", "stamped"])
def test_a_failure_holds_neither_secret_nor_signature(auth: dict[str, Any]) -> None:
    sent = request(
        x_token="wrong",
        authorization="Basic " + base64.b64encode(b"a:wrong").decode(),
        x_signature="t=1767607200,v1=00",
    )
    with pytest.raises(Unauthorized) as refused:
        check(auth, sent)
    told = str(refused.value.failure.to_json())
    assert SECRET.decode() not in told
    assert "wrong" not in told
    assert signature(b"1767607200.{}") not in told


# ---- what a file asks for ----


def test_secret_names_are_those_of_every_scheme() -> None:
    auth = AUTH.validate_python({"any": [TOKEN, {"all": [{**HMAC, "secret": "other"}, {"scheme": "none"}]}]})
    assert secret_names(auth) == {"key", "other"}
    assert [one.scheme for one in schemes_of(auth, "other")] == ["hmac"]


def test_locations_are_those_of_tokens_and_credentials() -> None:
    tokens = [
        {"scheme": "token", "secret": "k", "header": "X-Token"},
        {"scheme": "token", "secret": "k", "query": "q"},
        {"scheme": "token", "secret": "k", "form": "f"},
        {"scheme": "token", "secret": "k", "body": "a.b"},
    ]
    found = locations(AUTH.validate_python({"any": [*tokens, BASIC, HMAC]}))
    assert found.headers == {"x-token", "authorization"}
    assert (found.query, found.form, found.body) == ({"q"}, {"f"}, {"a.b"})


@pytest.mark.parametrize(
    ("scheme", "secret"),
    [
        (HMAC, ""),
        (HMAC, "fifteen chars.."),
        (TOKEN, "seven c"),
        (TOKEN, " padded token "),
        (TOKEN, "token with newline\n"),
        (BASIC, "no-colon-here"),
        (BASIC, "user-only:"),
        ({**HMAC, "key": "hex"}, "not hex at all at all"),
        ({**HMAC, "key": "base64"}, "not*base64*not*base64"),
        ({**HMAC, "key_prefix": "whsec_"}, "whsec_short"),
    ],
)
def test_an_unfit_secret_refuses_to_load(scheme: dict[str, Any], secret: str) -> None:
    with pytest.raises(UnusableSecret) as refused:
        usable_secret(secret, AUTH.validate_python(scheme))
    assert not secret.strip() or secret not in str(refused.value)


@pytest.mark.parametrize(
    ("scheme", "secret"),
    [
        (HMAC, "sixteen chars..."),
        (TOKEN, "eight ch"),
        (BASIC, "user:password"),
        ({**HMAC, "key": "hex"}, "00112233445566778899"),
        ({**HMAC, "key": "base64", "key_prefix": "whsec_"}, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ({"scheme": "none"}, ""),
    ],
)
def test_a_fit_secret_loads(scheme: dict[str, Any], secret: str) -> None:
    usable_secret(secret, AUTH.validate_python(scheme))
