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

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=[v["id"] for v in VECTORS])


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
        body=flip(body) if change == "body" else body,
        peer="192.0.2.1",
        received_at=datetime.fromisoformat(vector["received_at"]),
    )
    verify(AUTH.validate_python(vector["auth"]), request, {"key": (vector["secret"].encode(),)})


def flip(value: bytes) -> bytes:
    if not value:
        return b"x"
    at = len(value) // 2
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


@each_vector
def test_a_published_signature_verifies(vector: dict[str, Any]) -> None:
    check(vector)


@each_vector
def test_a_published_signature_fails_when_one_byte_changes(vector: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized) as refused:
        check(vector, change=vector["change"])
    assert refused.value.failure.code.endswith("_mismatch")
