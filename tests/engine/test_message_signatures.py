"""HTTP Message Signatures: the RFC's own vectors are in test_signature_vectors.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.messages import Request
from engine.signing import sign
from tests.engine.auth_cases import AUTH, KEYS, NOW, SECRETS, code, private_pem, public_pem, request

SHARED = {
    "scheme": "message_signature",
    "algorithm": "hmac-sha256",
    "key": "utf8",
    "secret": "key",
    "cover": ["@method", "@target-uri", "content-digest", "x-id"],
}
ALGORITHMS = {"ed25519": "ed25519", "ecdsa-p256-sha256": "ecdsa", "rsa-pss-sha512": "rsa", "rsa-v1_5-sha256": "rsa"}


def signed(auth: dict[str, Any] = SHARED, secrets: Any = SECRETS, body: bytes = b"{}") -> Request:
    sent = request(body, {"X-Id": "1"})
    made = sign(AUTH.validate_python(auth), sent, secrets)
    return replace(sent, headers=sent.headers + tuple((k.lower().encode(), v.encode()) for k, v in made))


def test_a_signed_request_verifies() -> None:
    assert code(SHARED, signed()) == ""


def test_an_empty_body_is_covered_by_its_digest() -> None:
    assert code(SHARED, signed(body=b"")) == ""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_verifies_with_its_public_key(algorithm: str) -> None:
    family = ALGORITHMS[algorithm]
    auth = {**SHARED, "algorithm": algorithm, "key": "pem"}
    sent = signed(auth, {"key": (private_pem(family),)})
    right = {"key": (public_pem(KEYS[family]),)}
    assert code(auth, sent, right) == ""
    assert code(auth, replace(sent, method="PUT"), right) == "signature_mismatch"


@pytest.mark.parametrize(
    "changed",
    [{"body": b"{ }"}, {"method": "PUT"}, {"url": "https://t.example/im"}],
    ids=["body", "method", "url"],
)
def test_a_changed_request_does_not_match(changed: dict[str, Any]) -> None:
    assert code(SHARED, replace(signed(), **changed)) == "signature_mismatch"


def with_header(sent: Request, name: bytes, value: bytes | None) -> Request:
    kept = tuple((k, v) for k, v in sent.headers if k != name)
    return replace(sent, headers=kept if value is None else (*kept, (name, value)))


@pytest.mark.parametrize("seconds", [-60, 0, 300])
def test_a_signature_within_tolerance_verifies(seconds: int) -> None:
    assert code(SHARED, replace(signed(), received_at=NOW + timedelta(seconds=seconds))) == ""


@pytest.mark.parametrize("seconds", [-61, 301])
def test_a_signature_outside_tolerance_is_refused(seconds: int) -> None:
    assert (
        code(SHARED, replace(signed(), received_at=NOW + timedelta(seconds=seconds))) == "timestamp_outside_tolerance"
    )


def test_what_must_be_covered_must_be_covered() -> None:
    less = {**SHARED, "cover": ["@method", "content-digest"]}
    assert code(SHARED, signed(less)) == "signature_malformed"
    assert code(less, signed()) == ""


def test_every_value_of_the_secret_is_tried() -> None:
    newer = b"a newer secret of some length"
    assert code(SHARED, signed(), {"key": (newer, *SECRETS["key"])}) == ""
    assert code(SHARED, signed(), {"key": (newer, newer)}) == "signature_mismatch"
    assert code(SHARED, signed(), {}) == "secret_missing"


def test_the_keyid_chooses_a_key_of_the_ring() -> None:
    auth = {**SHARED, "secret": {"keyring": "keys", "by": {"signature": "keyid"}}}
    sent = signed(auth, {"keys/k1": SECRETS["key"]})
    assert code(auth, sent, {"keys/k1": SECRETS["key"], "keys/k2": (b"another one of some length",)}) == ""
    assert code(auth, sent, {"keys/k2": SECRETS["key"]}) == "key_unknown"


def test_the_algorithm_that_a_request_names_must_be_the_files() -> None:
    sent = signed()
    inputs = dict(sent.headers)[b"signature-input"].replace(b'alg="hmac-sha256"', b'alg="ed25519"')
    assert b'alg="ed25519"' in inputs
    assert code(SHARED, with_header(sent, b"signature-input", inputs)) == "signature_malformed"


@pytest.mark.parametrize("name", [b"signature", b"signature-input"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "signature_missing"),
        (b"", "signature_missing"),
        (b"x", "signature_malformed"),
        (b"tiffin=:AA==:", "signature_m"),
        (b"tiffin=();created=1", "signature_malformed"),
        (b'tiffin=("@method" "@method");created=1;keyid="k"', "signature_malformed"),
        (b'tiffin=("@status");created=1;keyid="k"', "signature_malformed"),
        (b'tiffin=("@method");created=soon', "signature_malformed"),
        (b'tiffin=("@method");created=999999999999999;keyid="k"', "signature_m"),
        (b"other=:AA==:", "signature_malformed"),
        (b"tiffin=:AA==:, tiffin=:AA==:", "signature_malformed"),
        (b"\xff\xfe", "signature_malformed"),
        (b"(" * 5000, "signature_malformed"),
        (b"a=1," * 3000, "signature_malformed"),
    ],
)
def test_damaged_headers_are_refused(name: bytes, value: bytes | None, expected: str) -> None:
    assert code(SHARED, with_header(signed(), name, value)).startswith(expected)


@pytest.mark.parametrize("value", [b"sha-256=:AAAA:", b"md5=:AAAA:", b"x", b"", b"\xff"])
def test_another_digest_of_the_body_is_refused(value: bytes) -> None:
    assert code(SHARED, with_header(signed(), b"content-digest", value)).startswith("signature_m")
