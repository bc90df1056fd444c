"""From the bytes of a body to the document that expressions see.

    bytes ─ gzip ─ charset ─ json | ndjson | form | csv | tsv | jwt ─ unwrap ─ document

A document holds dict, list, str, bool and None only: every number of a payload is its source text. JSON
gives an object or a list; a form {name: text, or list of texts}; the row formats {"rows": [...]}.
Whatever cannot be read is a Refusal of class validation; nothing else is raised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.decoding import form, gzip_body, json_text, jwt_claims, ndjson, table, unwrapping
from engine.decoding.media_types import Headers, format_of, headers_of
from engine.messages import Request
from engine.model import Feed

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of a decompressed body, where neither the feed nor the caller says otherwise."""

FORMATS: dict[str, Callable[[bytes, str], Any]] = {
    "json": json_text.decode,
    "ndjson": ndjson.decode,
    "form": form.decode,
    "csv": table.decode_csv,
    "tsv": table.decode_tsv,
    "jwt": jwt_claims.decode,
}


def decode(feed: Feed, request: Request, *, body_limit: int = BODY_LIMIT) -> Any:
    """The document in a request's body.

    `body_limit` caps what gzip may expand to, in bytes; the feed's own limit comes first.
    """
    headers = headers_of(request.headers)
    body = request.body
    if headers.encoding:
        body = _expanded(feed, headers, body, body_limit)
    document = FORMATS[format_of(feed.accept, headers, body)](body, headers.charset)
    return unwrapping.unwrap(document, feed.unwrap) if feed.unwrap else document


def _expanded(feed: Feed, headers: Headers, body: bytes, body_limit: int) -> bytes:
    return gzip_body.expand(body, headers.encoding, allowed=feed.gzip, limit=feed.limits.body or body_limit)


__all__ = ["BODY_LIMIT", "FORMATS", "decode"]
