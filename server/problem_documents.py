"""Answers that no provider file speaks for: RFC 9457 problem documents, with the headers every answer has."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from starlette.responses import Response

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"no-store"),
)


def problem_body(status: int, code: str, detail: str) -> bytes:
    return orjson.dumps(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "code": code,
            "detail": detail,
        }
    )


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        problem_body(status, code, detail), status, dict(headers or {}), media_type="application/problem+json"
    )
