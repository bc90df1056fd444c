"""Requests, keys and judgements that the tests of authentication share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import TypeAdapter

from engine.failures import Unauthorized
from engine.messages import Request
from engine.model import Auth
from engine.signatures import verify

AUTH: TypeAdapter[Any] = TypeAdapter(Auth)
NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
SECRET = b"00112233445566778899aabbccddeeff"
SECRETS = {"key": (SECRET,), "login": (b"user:password",)}
KEYS: dict[str, Any] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}


def private_pem(family: str) -> bytes:
    return KEYS[family].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_der(key: Any) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate(key: Any = None, begin: datetime = NOW - timedelta(days=1), days: int = 30) -> bytes:
    """A certificate in PEM for a key, signed by itself."""
    key = key or KEYS["rsa"]
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.example")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(begin).not_valid_after(begin + timedelta(days=days))
    )  # fmt: skip
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def request(
    body: bytes | Mapping[str, Any] = b"{}",
    headers: Mapping[str, str | bytes] | None = None,
    query: tuple[tuple[str, str], ...] = (),
    url: str = "https://t.example/in",
    at: datetime = NOW,
    peer: str = "192.0.2.1",
) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    pairs = tuple((k.lower().encode(), v if isinstance(v, bytes) else v.encode()) for k, v in (headers or {}).items())
    return Request("POST", url, "/in", query, pairs, raw, peer, at)


def code(
    auth: dict[str, Any], sent: Request, secrets: Any = SECRETS, fetched: Mapping[str, bytes] | None = None
) -> str:
    """The failure's code, "" where the request verifies."""
    try:
        verify(AUTH.validate_python(auth), sent, secrets, fetched or {})
    except Unauthorized as refused:
        failure = refused.failure
        assert failure.cls == "auth"
        assert failure.message.endswith(".")
        assert failure.next_step.endswith(".")
        return failure.code
    return ""
