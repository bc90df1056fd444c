"""Content-Encoding gzip (RFC 1952), expanded no further than the limit."""

from __future__ import annotations

import zlib

from engine.decoding.refusals import refusal, shown
from engine.failures import Refusal

MAX_MEMBERS = 16
"""The most gzip members one after another: each costs a copy of what follows."""


def expand(body: bytes, encoding: str, *, allowed: bool, limit: int) -> bytes:
    """The bytes within. `limit` is the most bytes that they may come to."""
    if not allowed or encoding not in ("gzip", "x-gzip"):
        raise refusal(
            "content_encoding_unsupported",
            f"Content-Encoding {shown(encoding)} is not what this feed takes.",
            "Send the body with gzip or uncompressed." if allowed else "Send the body uncompressed.",
            content_encoding=encoding[:80],
        )
    expanded = b""
    for _ in range(MAX_MEMBERS):
        if not body:
            break
        member = zlib.decompressobj(wbits=31)
        try:
            expanded += member.decompress(body, limit + 1 - len(expanded))
        except zlib.error:
            raise _malformed() from None
        if len(expanded) > limit:
            raise refusal(
                "gzip_too_large",
                f"The body expands to more than {limit} bytes.",
                "Send it in smaller parts.",
                limit=limit,
            )
        if not member.eof:
            raise _malformed()
        body = member.unused_data
    if body:
        raise _malformed()
    return expanded


def _malformed() -> Refusal:
    return refusal("gzip_malformed", "The body is not whole gzip data.", "Compress the body as one gzip stream.")
