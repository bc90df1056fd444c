"""Lines of JSON: {"rows": [...]}, one object or list a line; blank lines are skipped."""

from __future__ import annotations

from typing import Any

from engine.decoding import json_text
from engine.decoding.charsets import utf8
from engine.decoding.refusals import refusal
from engine.failures import Refusal


def decode(body: bytes, charset: str = "") -> dict[str, Any]:
    rows: list[Any] = []
    for number, line in enumerate(utf8(body, charset).split(b"\n"), start=1):
        if line.strip():
            rows.append(_row(line, number))
    if not rows:
        raise refusal("body_empty", "The body holds no line.", "Send one JSON object a line.")
    return {"rows": rows}


def _row(line: bytes, number: int) -> Any:
    try:
        return json_text.decode(line)
    except Refusal as refused:
        inner = refused.failure
        facts = {**inner.facts, "line": number}
        message = f"Line {number}: {inner.message}"
        raise refusal(inner.code, message, inner.next_step, **facts) from None
