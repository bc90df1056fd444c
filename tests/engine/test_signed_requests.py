"""Hashes, public keys, keyrings, elements signed one by one, and structured headers."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages import Request
from engine.signatures import UnusableSecret, schemes_of, secret_names, usable_secret
from engine.signing import Unsignable, sign
from tests.engine.auth_cases import AUTH, KEYS, NOW, SECRET, certificate, code, private_pem, public_pem, request

HASH = {"scheme": "hash", "algorithm": "sha256", "sign": ["secret", "raw_body"], "secret": "key",
        "signature": {"header": "X-Hash"}}  # fmt: skip
HMAC = {"scheme": "hmac", "algorithm": "sha256", "secret": "key", "signature": {"header": "X-Signature"}}


def mac(message: bytes, key: bytes = SECRET) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()


# ---- plain hashes ----


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_a_hash_with_the_secret_in_it_verifies(algorithm: str) -> None:
    made = hashlib.new(algorithm, SECRET + b"{}").hexdigest()
    auth = {**HASH, "algorithm": algorithm}
    assert code(auth, request(headers={"X-Hash": made})) == ""
    assert code(auth, request(b"{ }", headers={"X-Hash": made})) == "signature_mismatch"


def test_a_hash_is_tried_with_every_value_of_the_secret() -> None:
    made = hashlib.sha256(SECRET + b"{}").hexdigest()
    sent = request(headers={"X-Hash": made})
    assert code(HASH, sent, {"key": (b"a newer one", SECRET)}) == ""
    assert code(HASH, sent, {"key": (b"",)}) == "secret_missing"


def test_a_checksum_beside_a_signature_covers_the_body() -> None:
    auth = {
        "all": [{**HMAC, "sign": ["url"]}, {"scheme": "hash", "algorithm": "sha256", "signature": {"query": "sum"}}]
    }
    query = (("sum", hashlib.sha256(b'{"a":1}').hexdigest()),)
    signed = {"X-Signature": mac(b"https://t.example/in")}
    assert code(auth, request(b'{"a":1}', signed, query)) == ""
    assert code(auth, request(b'{"a":2}', signed, query)) == "signature_mismatch"


# ---- public keys ----

FAMILIES: list[dict[str, Any]] = [
    {"scheme": "rsa", "algorithm": "sha1"},
    {"scheme": "rsa", "algorithm": "sha256"},
    {"scheme": "rsa", "algorithm": "sha512", "padding": "pss"},
    {"scheme": "ecdsa", "form": "der"},
    {"scheme": "ecdsa", "form": "raw"},
    {"scheme": "ed25519"},
]


def public(scheme: dict[str, Any], key: str) -> bytes:
    made = KEYS[scheme["scheme"]]
    if key == "pem":
        return public_pem(made)
    if scheme["scheme"] == "rsa":
        raw = made.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    elif scheme["scheme"] == "ecdsa":
        raw = made.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    else:
        raw = made.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw.hex().encode() if key == "hex" else base64.b64encode(raw)


def signed(auth: dict[str, Any], sent: Request, secrets: Any) -> Request:
    made = sign(AUTH.validate_python(auth), sent, secrets)
    return replace(sent, headers=sent.headers + tuple((k.lower().encode(), v.encode()) for k, v in made))


@settings(max_examples=60)
@given(
    scheme=st.sampled_from(FAMILIES),
    key=st.sampled_from(["pem", "hex", "base64"]),
    encoding=st.sampled_from(["hex", "base64", "base64url"]),
    body=st.binary(min_size=1, max_size=40),
    at=st.integers(0, 1000),
    bit=st.integers(0, 7),
)
def test_a_signature_by_a_private_key_verifies_and_one_changed_bit_does_not(
    scheme: dict[str, Any], key: str, encoding: str, body: bytes, at: int, bit: int
) -> None:
    auth = {**scheme, "secret": "key", "key": key, "sign": [{"header": "X-T"}, "raw_body"],
            "signature": {"header": "X-Signature", "encoding": encoding}, "timestamp": {"header": "X-T"}}  # fmt: skip
    secrets = {"key": (public(scheme, key),)}
    sent = signed(auth, request(body), {"key": (private_pem(scheme["scheme"]),)})
    assert code(auth, sent, secrets) == ""
    at %= len(body)
    changed = body[:at] + bytes([body[at] ^ (1 << bit)]) + body[at + 1 :]
    assert code(auth, replace(sent, body=changed), secrets) == "signature_mismatch"


def test_a_certificate_may_stand_for_its_key() -> None:
    auth = {"scheme": "rsa", "algorithm": "sha256", "secret": "key", "signature": {"header": "X-Signature"}}
    sent = signed(auth, request(), {"key": (private_pem("rsa"),)})
    assert code(auth, sent, {"key": (certificate(),)}) == ""


@pytest.mark.parametrize("scheme", FAMILIES, ids=lambda s: "-".join(s.values()))
@pytest.mark.parametrize("value", ["00", "ff" * 64, "30" * 70, "00" * 64, "30060201000201" + "00"])
def test_what_is_no_signature_of_the_family_does_not_match(scheme: dict[str, Any], value: str) -> None:
    auth = {**scheme, "secret": "key", "key": "pem", "signature": {"header": "X-Signature"}}
    secrets = {"key": (public_pem(KEYS[scheme["scheme"]]),)}
    assert code(auth, request(headers={"X-Signature": value}), secrets) == "signature_mismatch"


@pytest.mark.parametrize("other", ["rsa", "ecdsa", "ed25519"])
@pytest.mark.parametrize("scheme", FAMILIES[1::2], ids=lambda s: s["scheme"])
def test_a_key_of_another_family_is_no_usable_secret(scheme: dict[str, Any], other: str) -> None:
    auth = {**scheme, "secret": "key", "key": "pem", "signature": {"header": "X-Signature"}}
    found = code(auth, request(headers={"X-Signature": "00"}), {"key": (public_pem(KEYS[other]),)})
    assert found == ("signature_mismatch" if other == scheme["scheme"] else "secret_missing")


@pytest.mark.parametrize(
    ("scheme", "secret", "says"),
    [
        ({"scheme": "rsa", "algorithm": "sha256"}, private_pem("rsa").decode(), "private key"),
        ({"scheme": "rsa", "algorithm": "sha256"}, public_pem(KEYS["ecdsa"]).decode(), "no public key"),
        ({"scheme": "ecdsa", "key": "base64"}, "AAAA", "no public key"),
        ({"scheme": "ed25519", "key": "hex"}, "00" * 31, "no public key"),
        ({"scheme": "ed25519", "key": "hex"}, "", "no public key"),
        ({"scheme": "hash", "algorithm": "md5"}, "short", "fewest"),
    ],
)
def test_an_unfit_key_refuses_to_load(scheme: dict[str, Any], secret: str, says: str) -> None:
    auth = AUTH.validate_python({**scheme, "secret": "key", "signature": {"header": "S"}})
    with pytest.raises(UnusableSecret, match=says):
        usable_secret(secret, auth)


def test_a_public_key_of_the_family_loads() -> None:
    for scheme in FAMILIES:
        auth = AUTH.validate_python({**scheme, "secret": "key", "key": "pem", "signature": {"header": "S"}})
        usable_secret(public_pem(KEYS[scheme["scheme"]]).decode(), auth)


# ---- keyrings ----

RING = {**HMAC, "secret": {"keyring": "links", "by": {"body": "link"}}}
BODY = b'{"link": "L-7"}'


def test_the_request_chooses_one_key_of_a_ring() -> None:
    sent = request(BODY, {"X-Signature": mac(BODY)})
    assert code(RING, sent, {"links/L-7": (SECRET,), "links/L-8": (b"another one of some length",)}) == ""
    assert (
        code(RING, sent, {"links/L-7": (b"another one of some length",), "links/L-8": (SECRET,)})
        == "signature_mismatch"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"link": "L-9"}', "key_unknown"),
        (b'{"link": ""}', "signature_missing"),
        (b'{"link": "\xff"}', "body_unreadable"),
        (b"{}", "signature_missing"),
        (b'{"link": {"a": 1}}', "key_unknown"),
        (b'{"link": "../L-7"}', "key_unknown"),
    ],
)
def test_a_name_of_no_key_is_refused(body: bytes, expected: str) -> None:
    assert (
        code(RING, request(body, {"X-Signature": mac(body)}), {"links/L-7": (SECRET,), "links/": (SECRET,)}) == expected
    )


def test_the_secrets_of_a_ring_are_named_after_it() -> None:
    auth = AUTH.validate_python(RING)
    assert secret_names(auth) == {"links/…"}
    assert [s.scheme for s in schemes_of(auth, "links/L-7")] == ["hmac"]
    assert schemes_of(auth, "links") == schemes_of(auth, "links/") == schemes_of(auth, "other/L-7") == ()


# ---- elements signed one by one ----

EACH = {**HMAC, "each": "items", "sign": [{"join": [{"body": "a.id"}, {"body": "b", "default": ""}], "between": ":"}],
        "signature": {"body": "sig"}}  # fmt: skip


def item(id: str, b: str | None = None, signed_as: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"a": {"id": id}, "sig": mac(f"{signed_as or id}:{b or ''}".encode())}
    return made if b is None else {**made, "b": b}


def test_every_element_must_be_signed() -> None:
    assert code(EACH, request({"items": [item("1"), item("2", "x")]})) == ""
    assert code(EACH, request({"items": [item("1"), item("3", "x", "2")]})) == "signature_mismatch"
    assert code(EACH, request({"items": [item("1"), {"a": {"id": "2"}}]})) == "signature_missing"


@pytest.mark.parametrize("document", [{}, {"items": []}, {"items": {"a": 1}}, {"items": [item("1")] * 101}])
def test_a_list_of_none_or_too_many_elements_is_malformed(document: dict[str, Any]) -> None:
    assert code(EACH, request(document)) == "signature_malformed"


# ---- structured headers ----

PARAMS = {
    **HMAC,
    "sign": [{"signature": "created"}, {"value": "."}, "raw_body"],
    "signature": {"header": "Authorization", "parser": "params", "take": "signature"},
    "timestamp": {"signature": "created", "expires": "expires", "tolerance": "1h"},
}
AT = int(NOW.timestamp())


def params(
    created: int = AT,
    expires: int = AT + 60,
    form: str = '{word}keyId="a,\\"b|c",created="{c}",expires={e}, signature="{s}"',
) -> Request:
    made = mac(f"{created}.{{}}".encode())
    return request(headers={"Authorization": form.format(word="Signature ", c=created, e=expires, s=made)})


def test_parameters_are_read_quoted_or_not() -> None:
    assert code(PARAMS, params()) == ""


@pytest.mark.parametrize(("expires", "expected"), [(AT, ""), (AT - 1, "signature_expired")])
def test_a_signature_holds_until_it_expires(expires: int, expected: str) -> None:
    assert code(PARAMS, params(expires=expires)) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ('{word}created="{c}",expires="{e}"', "signature_malformed"),
        ('{word}created="{c}",expires="{e}",signature="{s}', "signature_malformed"),
        ('{word}created="{c}" expires="{e}" signature="{s}"', "signature_malformed"),
        ('{word}created="{c}",expires="{e}",signature="{s}",created="1"', "timestamp_malformed"),
        ('{word}created="{c}",signature="{s}"', "timestamp_missing"),
        ('{word}created="soon",expires="{e}",signature="{s}"', "timestamp_malformed"),
        ('{word}created="{c}é",expires="{e}",signature="{s}"', "signature_malformed"),
        ("{word}", "signature_malformed"),
    ],
)
def test_damaged_parameters_are_refused(form: str, expected: str) -> None:
    assert code(PARAMS, params(form=form)) == expected


# ---- time in a Date header; addresses ----


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Mon, 05 Jan 2026 10:00:00 GMT", ""),
        ("Mon, 05 Jan 2026 10:00:00 UTC", ""),
        ("Mon, 05 Jan 2026 09:00:00 GMT", "timestamp_outside_tolerance"),
        ("Mon, 05 Jan 2026 10:00:00 PST", "timestamp_malformed"),
        ("Mon, 35 Jan 2026 10:00:00 GMT", "timestamp_malformed"),
        ("Mon, 05 Foo 2026 10:00:00 GMT", "timestamp_malformed"),
        ("1767607200", "timestamp_malformed"),
    ],
)
def test_a_date_header_is_a_time_of_signing(written: str, expected: str) -> None:
    auth = {**HMAC, "sign": ["raw_body", {"header": "Date"}], "timestamp": {"header": "Date", "unit": "http_date"}}
    assert code(auth, request(headers={"Date": written, "X-Signature": mac(b"{}" + written.encode())})) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("203.0.113.9", ""),
        ("::ffff:203.0.113.9", ""),
        ("2001:db8::1", ""),
        ("203.0.114.9", "address_not_allowed"),
        ("", "address_not_allowed"),
        ("unix:", "address_not_allowed"),
    ],
)
def test_the_address_lies_in_one_of_the_blocks(peer: str, expected: str) -> None:
    assert code({"scheme": "address", "allow": ["203.0.113.0/24", "2001:db8::/32"]}, request(peer=peer)) == expected


# ---- what sign cannot make ----


@pytest.mark.parametrize(
    "auth",
    [
        EACH,
        RING,
        {"scheme": "ws_security", "secret": "key"},
        {"scheme": "jwt", "raw_body": True, "secret": "key"},
        {"scheme": "jwt", "header": "X", "secret": "key", "issuer": {"header": "Y"}},
        {"scheme": "ed25519", "secret": "key", "signature": {"header": "S"}},
        {"scheme": "message_signature", "algorithm": "ed25519", "cover": ["@method"], "secret": "key"},
        {"scheme": "rsa", "algorithm": "sha1", "signature": {"header": "S"},
         "secret": {"certificate": {"body": "u"}, "hosts": ["a.example"]}},
    ],
)  # fmt: skip
def test_what_cannot_be_signed_is_said(auth: dict[str, Any]) -> None:
    with pytest.raises(Unsignable, match=r"^\w.*\.$"):
        sign(AUTH.validate_python(auth), request(), {"key": (b"no private key at all",)})
