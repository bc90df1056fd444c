"""The bytes that a signature covers, put together from a recipe of the request's parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from engine.model import (
    Base64Part,
    BodyPart,
    DigestPart,
    HeaderPart,
    QueryPart,
    RecipePart,
    SignaturePart,
    SortedParamsPart,
    ValuePart,
)
from engine.request_parts import PartError, RequestParts, described
from engine.signature_values import Signed, encode


class PartMissing(PartError):
    """The recipe names a part that the request does not have."""


def bytes_to_sign(
    recipe: Iterable[RecipePart], parts: RequestParts, signed: Signed, left_out: tuple[str, str] = ("", "")
) -> bytes:
    """All parts, one after another.

    `left_out` is where the signature itself stands (`("query", "hmac")`): sorted parameters leave it out.
    Raises PartError, and Malformed for a named part that stands twice.
    """
    return b"".join([_bytes_of(part, parts, signed, left_out) for part in recipe])


def _bytes_of(part: RecipePart, parts: RequestParts, signed: Signed, left_out: tuple[str, str]) -> bytes:
    request = parts.request
    match part:
        case "raw_body":
            return request.body
        case "minified_body":
            return parts.json.minified()
        case "url":
            return request.url.encode("utf-8", "surrogatepass")
        case "method":
            return request.method.encode("utf-8", "surrogatepass")
        case HeaderPart():
            return _present(parts.value("header", part.header), "header", part.header)
        case QueryPart():
            return _present(parts.value("query", part.query), "query", part.query)
        case BodyPart():
            return _present(parts.value("body", part.body), "body", part.body)
        case SignaturePart():
            found = signed.part(part.signature)
            return _present(None if found is None else found.encode(), "signature part", part.signature)
        case SortedParamsPart():
            return _sorted(part, parts, left_out)
        case DigestPart():
            return encode(hashlib.new(part.digest, request.body).digest(), part.encoding).encode()
        case Base64Part():
            return base64.b64encode(bytes_to_sign(part.base64, parts, signed, left_out))
        case ValuePart():
            return part.value.encode()
    raise TypeError(f"{part!r} is no part of a recipe")


def _present(value: bytes | None, where: str, name: str) -> bytes:
    if value is None:
        raise PartMissing(f"The signature covers the {described(where, name)}, which is not in the request.")
    return value


def _sorted(part: SortedParamsPart, parts: RequestParts, left_out: tuple[str, str]) -> bytes:
    fields: list[tuple[str, str]] = []
    for where in part.sorted_params.split("_and_"):
        source = parts.form if where == "form" else parts.request.query
        fields.extend(field for field in source if (where, field[0]) != left_out)
    text = part.between.join(f"{name}{part.pair}{value}" for name, value in sorted(fields))
    return text.encode("utf-8", "surrogatepass")
