from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.decoding import decode
from engine.failures import Failure, Refusal
from engine.messages import Request
from engine.model import Feed

Decode = Callable[..., Any]


def _decode(body: bytes, *headers: tuple[str, str], limit: int = 100_000, **feed: Any) -> Any:
    spec = Feed.model_validate({"idempotency": "none", "commands": {"rule": {}}, **feed})
    named = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers)
    received = datetime(2026, 1, 5, tzinfo=UTC)
    request = Request("POST", "https://t.example/in", "/in", (), named, body, "192.0.2.1", received)
    return decode(spec, request, body_limit=limit)


def _refused(body: bytes, *headers: tuple[str, str], **feed: Any) -> Failure:
    with pytest.raises(Refusal) as refused:
        _decode(body, *headers, **feed)
    failure = refused.value.failure
    assert failure.cls == "validation"
    assert failure.message.endswith(".")
    assert failure.next_step.endswith(".")
    return failure


@pytest.fixture(scope="session")
def decoded() -> Decode:
    """Decodes a body: `decoded(body, *headers, accept=…, unwrap=…, gzip=…, limit=…)`."""
    return _decode


@pytest.fixture(scope="session")
def refused() -> Callable[..., Failure]:
    """The failure of a body that is refused."""
    return _refused
