"""Lines of JSON: {"rows": [...]}, one object or list a line; blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.decoding import json_text
from engine.decoding.charsets import utf8
from engine.decoding.refusals import VALUES_LIMIT, refusal, too_many_values
from engine.failures import Refusal


def decode(body: bytes, charset: str = "", *, values: int = VALUES_LIMIT) -> dict[str, Any]:
    found = list(rows(body, charset, values=values))
    if not found:
        raise refusal("body_empty", "The body holds no line.", "Send one JSON object a line.")
    return {"rows": found}


def rows(body: bytes, charset: str = "", *, values: int = VALUES_LIMIT) -> Iterator[Any]:
    """The lines' values one by one. Raises Refusal where one is wrong."""
    body = utf8(body, charset)
    if len(body) > values:
        json_text.check_values(body, values)
    count = 0
    for number, line in enumerate(_lines(body), start=1):
        if line.strip():
            count += 1
            if count > values:
                raise too_many_values("body", values)
            yield _row(line, number)


def _lines(body: bytes) -> Iterator[bytes]:
    start = 0
    while (end := body.find(b"\n", start)) >= 0:
        yield body[start:end]
        start = end + 1
    yield body[start:]


def _row(line: bytes, number: int) -> Any:
    try:
        return json_text.decode(line)
    except Refusal as refused:
        inner = refused.failure
        facts = {**inner.facts, "line": number}
        message = f"Line {number}: {inner.message}"
        raise refusal(inner.code, message, inner.next_step, **facts) from None
