"""From the bytes of a body to the document that expressions see.

    bytes ─ gzip ─ charset ─ json | ndjson | form | csv | tsv | xml | x12 | xlsx | jwt ─ unwrap ─ document

A document holds dict, list, str, bool and None only: every number of a payload is its source text. JSON
gives an object or a list; a form {name: text, or list of texts}; the row formats {"rows": [...]}; XML
{root: …}; X12 {"ISA": …, "GS": [...]}; no body {}. Whatever cannot be read is a Refusal of class validation;
nothing else is raised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from engine.decoding import form, gzip_body, json_text, jwt_claims, ndjson, table, unwrapping
from engine.decoding.media_types import Headers, format_of, headers_of
from engine.decoding.refusals import refusal
from engine.messages import Request
from engine.model import Feed, Limits
from engine.tuples import maker

BODY_LIMIT = 8 * 1024 * 1024
"""Bytes of a decompressed body, where neither the feed nor the caller says otherwise."""


class Body(NamedTuple):
    """What a decoder gets: bytes, their charset ("" where nothing says it), the format's options, and bounds."""

    data: bytes
    charset: str
    options: Any
    limits: Limits
    size_limit: int


_as_body = maker(Body)


def _xml(body: Body) -> Any:
    # Loaded when first needed, as the next two: idle servers of other feeds do without.
    from engine.decoding import xml_text

    values, depth = body.limits.values, body.limits.depth
    return xml_text.decode(body.data, body.charset, body.options, values=values, depth=depth)


def _x12(body: Body) -> Any:
    from engine.decoding import x12

    return x12.decode(body.data, body.charset, body.options, values=body.limits.values)


def _xlsx(body: Body) -> Any:
    from engine.decoding import workbook

    return workbook.decode(body.data, options=body.options, values=body.limits.values, limit=body.size_limit)


def _nothing(body: Body) -> dict[str, Any]:
    """The empty document of a message that has no body: what it says stands in its URL and headers."""
    if body.data.strip():
        raise refusal("body_unexpected", "The message has a body, where none is expected.", "Send it without a body.")
    return {}


FORMATS: dict[str, Callable[[Body], Any]] = {
    "json": lambda body: json_text.decode(body.data, body.charset, values=body.limits.values),
    "ndjson": lambda body: ndjson.decode(body.data, body.charset, values=body.limits.values),
    "form": lambda body: form.decode(body.data, body.charset),
    "csv": lambda body: table.decode_csv(body.data, body.charset, body.options, values=body.limits.values),
    "tsv": lambda body: table.decode_tsv(body.data, body.charset, body.options, values=body.limits.values),
    "xml": _xml,
    "x12": _x12,
    "xlsx": _xlsx,
    "none": _nothing,
    "jwt": lambda body: jwt_claims.decode(body.data, values=body.limits.values),
}


def decode(feed: Feed, request: Request, *, body_limit: int = BODY_LIMIT) -> Any:
    """The document in a request's body.

    `body_limit` caps what gzip may expand to, in bytes; the feed's own limit comes first.
    """
    headers = headers_of(request.headers)
    data, limit = request.body, feed.limits.body or body_limit
    if headers.encoding:
        data = _expanded(feed, headers, data, limit)
    if feed.answer is not None and not data:
        return {}  # a question may stand in the URL alone
    formats = feed.formats
    name = format_of(tuple(formats), headers, data)
    document = FORMATS[name](_as_body((data, headers.charset, formats[name], feed.limits, limit)))
    return unwrapping.unwrap(document, feed.unwrap) if feed.unwrap else document


def _expanded(feed: Feed, headers: Headers, data: bytes, limit: int) -> bytes:
    return gzip_body.expand(data, headers.encoding, allowed=feed.gzip, limit=limit)


__all__ = ["BODY_LIMIT", "FORMATS", "Body", "decode"]
