"""Every block of docs/how-to/authentication.md loads, is clean of errors, and verifies what is signed by it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import schemas
from engine.auth_model import Certificate, HashScheme, JwtScheme, Keyring, MessageSignatureScheme
from engine.checker import check, load
from engine.failures import Unauthorized
from engine.key_families import Asymmetric, family_of
from engine.messages import Request
from engine.signatures import schemes, secret_names, verify
from engine.signing import sign
from engine.yaml12 import compose

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "authentication.md"
FEED = """\
feeds:
  stock:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands: {stock: {command: UpdateStockLevel, each: items, fields: {item_id: id, quantity: qty}}}
"""
HEAD = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: official
"""
NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
BODY = {"timestamp": "2026-01-05T10:00:00Z", "payload": '{"a": 1}', "channelLinkId": "link-7", "id": "1"}
SHARED = "00112233445566778899aabbccddeeff"
MADE = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}


def blocks() -> Iterator[tuple[str, str]]:
    for n, found in enumerate(re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.S)):
        yield f"{n}-{re.findall('scheme: ([a-z0-9_]+)', found)[0]}", found


BLOCKS = dict(blocks())
each_block = pytest.mark.parametrize("name", BLOCKS)


def file_of(name: str) -> str:
    block = BLOCKS[name]
    if "feeds:" not in block:
        return HEAD + block + FEED
    return HEAD + block if "stock:" in block else HEAD + block + FEED.removeprefix("feeds:\n")


def auth_of(name: str) -> Any:
    return load(file_of(name), "corner.yaml", schemas.canon()).auth


@each_block
def test_a_block_of_the_page_has_no_error(name: str) -> None:
    found = check(file_of(name), "corner.yaml", schemas.canon())
    assert [(p.code, p.message) for p in found if p.severity == "error"] == []


@each_block
def test_a_block_of_the_page_is_valid_by_the_schema_that_editors_use(name: str) -> None:
    from jsonschema import Draft202012Validator

    data = json.loads(json.dumps(compose(file_of(name), "corner.yaml").data))
    assert list(Draft202012Validator(schemas.schema("provider")).iter_errors(data)) == []


def secret_for(scheme: Any, public: bool) -> bytes:
    if isinstance(scheme, Asymmetric | JwtScheme | MessageSignatureScheme) and (family := family_of(scheme)):
        key: Any = MADE[family]
        if not public:
            return key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        key, text = key.public_key(), serialization.PublicFormat.SubjectPublicKeyInfo
        if scheme.key == "pem":
            return key.public_bytes(serialization.Encoding.PEM, text)
        if family == "ed25519":
            raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        else:
            raw = key.public_bytes(serialization.Encoding.DER, text)
        written = raw.hex().encode() if scheme.key == "hex" else base64.b64encode(raw)
        return getattr(scheme, "key_prefix", "").encode() + written
    if scheme.scheme in ("basic", "ws_security"):
        return b"user:password"
    return getattr(scheme, "key_prefix", "").encode() + SHARED.encode()


def secrets_for(auth: Any, public: bool) -> dict[str, tuple[bytes, ...]]:
    made: dict[str, tuple[bytes, ...]] = {}
    for scheme in schemes(auth):
        secret = getattr(scheme, "secret", None)
        if isinstance(secret, Keyring):
            made[f"{secret.keyring}/link-7"] = (secret_for(scheme, public),)
        elif isinstance(secret, str):
            made[secret] = (secret_for(scheme, public),)
    return made


def needs_a_header_alone(auth: Any) -> bool:
    """Whether the proof of the first alternative stands in headers, which `sign` makes."""
    first = auth
    while hasattr(first, "any"):
        first = first.any[0]
    for scheme in schemes(first):
        if scheme.scheme == "none" or isinstance(getattr(scheme, "secret", None), Certificate):
            return False
        signature = getattr(scheme, "signature", scheme)
        if scheme.scheme == "ws_security" or getattr(scheme, "raw_body", False):
            return False
        if not isinstance(scheme, HashScheme) and any(getattr(signature, p, None) for p in ("query", "form", "body")):
            return False
        if isinstance(scheme, HashScheme) and signature.header is None:
            return False
    return True


SIGNABLE = [name for name in BLOCKS if needs_a_header_alone(auth_of(name))]


def request(name: str) -> Request:
    headers = ((b"webhook-id", b"msg_1"), (b"x-api-key", SHARED.encode()))
    form = b"a=1&b=2" if "sorted_params: form" in BLOCKS[name] else json.dumps(BODY).encode()
    kept = headers if "issuer: {" in BLOCKS[name] or "webhook-id" in BLOCKS[name] else ()
    return Request("POST", "https://t.example/in", "/in", (), kept, form, "203.0.113.7", NOW)


def with_headers(sent: Request, made: list[tuple[str, str]]) -> Request:
    before = {name for name, _ in sent.headers}
    added = tuple((k.lower().encode(), v.encode()) for k, v in made if k.lower().encode() not in before)
    return replace(sent, headers=sent.headers + added)


def test_most_blocks_can_be_signed() -> None:
    assert len(SIGNABLE) >= 28


@pytest.mark.parametrize("name", SIGNABLE)
def test_what_is_signed_by_a_block_verifies(name: str) -> None:
    auth, sent = auth_of(name), request(name)
    verify(auth, with_headers(sent, sign(auth, sent, secrets_for(auth, False))), secrets_for(auth, True))


@pytest.mark.parametrize("name", SIGNABLE)
def test_what_is_signed_by_a_block_fails_with_other_secrets(name: str) -> None:
    auth, sent = auth_of(name), request(name)
    signed = with_headers(sent, sign(auth, sent, secrets_for(auth, False)))
    others = {name: tuple(value[::-1] for value in values) for name, values in secrets_for(auth, True).items()}
    with pytest.raises(Unauthorized):
        verify(auth, signed, others)


def test_the_page_names_the_secrets_of_a_connection() -> None:
    assert secret_names(auth_of(SIGNABLE[-2])) == {"keys/…"}
