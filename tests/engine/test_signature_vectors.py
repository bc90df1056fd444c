"""Published signatures verify, and stop doing so when one byte that they cover is changed."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from engine.failures import Unauthorized
from engine.messages import Request
from engine.model import Auth
from engine.signatures import verify

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "signature_vectors.json").read_text("utf-8"))
AUTH: TypeAdapter[Any] = TypeAdapter(Auth)

USABLE = [vector for vector in VECTORS if "unusable" not in vector]

each_vector = pytest.mark.parametrize("vector", USABLE, ids=[v["id"] for v in USABLE])


def check(vector: dict[str, Any], change: str = "") -> None:
    sent = vector["request"]
    headers = tuple(
        (name.lower().encode(), value.encode() if name != change else flip(value.encode()))
        for name, value in sent["headers"]
    )
    body = sent["body"].encode()
    request = Request(
        method=sent["method"],
        url=sent["url"],
        path="/in",
        query=(),
        headers=headers,
        body=flip(body, vector.get("change_in", "").encode()) if change == "body" else body,
        peer="192.0.2.1",
        received_at=datetime.fromisoformat(vector["received_at"]),
    )
    secrets = {vector.get("secret_name", "key"): (vector["secret"].encode(),)}
    fetched = {url: pem.encode() for url, pem in vector.get("fetched", {}).items()}
    verify(AUTH.validate_python(vector["auth"]), request, secrets, fetched)


def flip(value: bytes, inside: bytes = b"") -> bytes:
    """The value with one bit of one byte changed: in the middle, or where `inside` begins."""
    if not value:
        return b"x"
    at = value.index(inside) if inside else len(value) // 2
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


@each_vector
def test_a_published_signature_verifies(vector: dict[str, Any]) -> None:
    check(vector)


@each_vector
def test_a_published_signature_fails_when_one_byte_changes(vector: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized) as refused:
        check(vector, change=vector["change"])
    assert refused.value.failure.code.endswith("_mismatch")


def test_the_one_vector_that_cannot_be_used_is_refused_for_the_reason_that_is_given() -> None:
    unusable = [vector for vector in VECTORS if "unusable" in vector]
    assert [vector["id"] for vector in unusable] == ["pyjwt-bytes"]
    with pytest.raises(Unauthorized) as refused:
        check(unusable[0])
    assert refused.value.failure.code == "token_malformed"
    assert "payload" in refused.value.failure.message


def test_every_published_vector_is_used_but_one() -> None:
    assert (len(VECTORS), len(USABLE)) == (28, 27)
