from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from engine.certificates import believed
from engine.signatures import KeyNeeded, verify
from tests.engine.auth_cases import AUTH, KEYS, NOW, SECRETS, certificate, code, request

URL = "https://sns.eu-west-1.amazonaws.com/cert.pem"
SIGNED = {
    "scheme": "rsa",
    "algorithm": "sha256",
    "sign": [{"lines": ["Message", "Subject", "TopicArn"]}],
    "secret": {"certificate": {"body": "SigningCertURL"}, "hosts": ["sns.*.amazonaws.com"]},
    "signature": {"body": "Signature", "encoding": "base64"},
}


def message(url: str = URL, key: Any = None, **changed: str) -> dict[str, str]:
    text = b"Message\nhello\nTopicArn\n00112233445566778899aabbccddeeff\n"
    signature = (key or KEYS["rsa"]).sign(text, padding.PKCS1v15(), hashes.SHA256())
    made = {"Message": "hello", "TopicArn": "00112233445566778899aabbccddeeff", "SigningCertURL": url}
    return {**made, "Signature": base64.b64encode(signature).decode(), **changed}


def test_a_message_is_verified_with_the_certificate_that_is_handed_in() -> None:
    assert code(SIGNED, request(message()), fetched={URL: certificate()}) == ""


def test_the_certificate_that_is_missing_is_named() -> None:
    with pytest.raises(KeyNeeded) as needed:
        verify(AUTH.validate_python(SIGNED), request(message()), SECRETS)
    assert (needed.value.url, needed.value.failure.code) == (URL, "key_unavailable")


@pytest.mark.parametrize("changed", [{"Message": "hellp"}, {"Subject": "x"}, {"TopicArn": "other"}])
def test_a_changed_field_does_not_match(changed: dict[str, str]) -> None:
    assert code(SIGNED, request(message(**changed)), fetched={URL: certificate()}) == "signature_mismatch"


@pytest.mark.parametrize(
    "pem",
    [b"", b"nothing", certificate(begin=NOW + timedelta(hours=1)), certificate(begin=NOW - timedelta(days=31)),
     certificate(KEYS["ecdsa"]), certificate(rsa.generate_private_key(65537, 1024))],
    ids=["empty", "text", "early", "late", "ecdsa", "short"],
)  # fmt: skip
def test_what_is_no_valid_certificate_for_the_scheme_is_unusable(pem: bytes) -> None:
    assert code(SIGNED, request(message()), fetched={URL: pem}) == "certificate_unusable"


HOSTILE = [
    "http://sns.eu-west-1.amazonaws.com/cert.pem",
    "https://sns.eu-west-1.amazonaws.com.evil.example/cert.pem",
    "https://evil.example/sns.eu-west-1.amazonaws.com/cert.pem",
    "https://sns.eu-west-1.amazonaws.com@evil.example/cert.pem",
    "https://evil.example#sns.eu-west-1.amazonaws.com/c.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/cert.pem",
    "https://sns.eu-west-1.amazonaws.com/../cert.pem",
    "https://sns.eu-west-1.amazonaws.com/cert.pem?x=1",
    "https://sns.a.b.amazonaws.com/cert.pem",
    "https://sns..amazonaws.com/cert.pem",
    "https://snsXeu-west-1.amazonaws.com/cert.pem",
    "HTTPS://sns.eu-west-1.amazonaws.com/cert.pem",
    "https://sns.eu-west-1.amazonaws.com",
    "https://sns.eu-west-1.amazonaws.com/cert.pem\n",
    "https://sns.é.amazonaws.com/cert.pem",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_no_certificate_is_asked_for_at_a_url_that_is_not_believed(url: str) -> None:
    assert not believed(url, ("sns.*.amazonaws.com",))
    expected = "certificate_not_allowed" if url else "signature_missing"
    assert code(SIGNED, request(message(url)), fetched={url: certificate()}) == expected


def test_a_certificate_is_asked_for_only_when_all_the_rest_holds() -> None:
    both = {"all": [SIGNED, {"scheme": "token", "body": "TopicArn", "secret": "key"}]}
    assert code(both, request(message(TopicArn="another topic"))) == "token_mismatch"
    assert code(both, request(message())) == "key_unavailable"
    assert code(both, request(message()), fetched={URL: certificate()}) == ""


def test_any_asks_for_the_certificate_before_it_gives_up() -> None:
    either = {"any": [{"scheme": "token", "header": "X", "secret": "key"}, SIGNED]}
    assert code(either, request(message(), {"X": "wrong"})) == "key_unavailable"
