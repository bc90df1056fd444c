"""The bytes that a signature covers, put together from a recipe of the request's parts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit, urlunsplit

from engine.model_base import Node
from engine.recipe_model import (
    Base64Part,
    BodyPart,
    DigestPart,
    FormPart,
    HeaderPart,
    JoinPart,
    LinesPart,
    QueryPart,
    RecipePart,
    SignaturePart,
    SortedParamsPart,
    UrlPart,
    ValuePart,
)
from engine.request_parts import PartError, RequestParts, described
from engine.signature_values import Signed, encode

_PORTS = {"https": 443, "http": 80}
# : / ? @ ! $ ' ( ) * , ; and no others: what senders decode before they sign a URL.
_DECODED = re.compile("%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


class PartMissing(PartError):
    """The recipe names a part that the request does not have."""


class Ingredients(NamedTuple):
    """What a recipe is made of. `left_out` is where the signature itself stands (`("query", "hmac")`)."""

    parts: RequestParts
    signed: Signed
    left_out: tuple[str, str] = ("", "")
    secret: bytes = b""


def bytes_to_sign(
    recipe: Iterable[RecipePart],
    parts: RequestParts,
    signed: Signed,
    left_out: tuple[str, str] = ("", ""),
    secret: bytes = b"",
) -> bytes:
    """All parts, one after another.

    Sorted parameters leave out what stands where `left_out` says; `secret` is for recipes of plain hashes.
    Raises PartError, and Malformed for a named part that stands twice.
    """
    return _joined(recipe, Ingredients(parts, signed, left_out, secret))


class StreamedBody(Protocol):
    """A body that is too large to be held: it stands in a request's `body` while the request is verified."""

    def blocks(self) -> Iterable[bytes]:
        """Its bytes in order, a piece at a time; each call begins anew."""


def pieces_to_sign(
    recipe: Iterable[RecipePart], parts: RequestParts, signed: Signed, left_out: tuple[str, str], secret: bytes
) -> Iterable[bytes]:
    """The same as `bytes_to_sign`, a piece at a time, for a request whose body is a StreamedBody."""
    of = Ingredients(parts, signed, left_out, secret)
    for part in recipe:
        if part == "raw_body":
            body: StreamedBody = parts.request.body  # type: ignore[assignment]
            yield from body.blocks()
        else:
            yield _bytes_of(part, of)


def holds(recipe: Iterable[RecipePart], word: str) -> bool:
    """Whether a recipe has a part that is a word, such as `secret`, at any depth."""
    return any(part == word for part in flat(recipe))


def flat(recipe: Iterable[RecipePart]) -> Iterable[RecipePart]:
    """The parts of a recipe, those within join and base64 in their place."""
    for part in recipe:
        if isinstance(part, Base64Part | JoinPart):
            yield from flat(part.base64 if isinstance(part, Base64Part) else part.join)
        else:
            yield part


def _joined(recipe: Iterable[RecipePart], of: Ingredients, between: bytes = b"") -> bytes:
    return between.join([_bytes_of(part, of) for part in recipe])


def _bytes_of(part: RecipePart, of: Ingredients) -> bytes:
    parts = of.parts
    if not isinstance(part, Node):
        return _whole(part, of)
    match part:
        case HeaderPart():
            return _present(parts.value("header", part.header), "header", part.header)
        case QueryPart():
            return _present(parts.value("query", part.query), "query", part.query)
        case FormPart():
            return _present(parts.value("form", part.form), "form", part.form)
        case BodyPart():
            found = parts.value("body", part.body)
            return (
                part.default.encode()
                if found is None and part.default is not None
                else _present(found, "body", part.body)
            )
        case SignaturePart():
            named = of.signed.part(part.signature)
            return _present(None if named is None else named.encode(), "signature part", part.signature)
        case UrlPart():
            return _text(_spelled(parts.request.url, part.url))
        case SortedParamsPart():
            return _sorted(part, of)
        case LinesPart():
            found_lines = ((path, parts.value("body", path)) for path in part.lines)
            return b"".join([b"%s\n%s\n" % (path.encode(), value) for path, value in found_lines if value is not None])
        case JoinPart():
            return _joined(part.join, of, part.between.encode())
        case DigestPart():
            hashed = _whole(part.of, of)
            return encode(digest_of(part.digest, hashed), part.encoding).encode()
        case Base64Part():
            return base64.b64encode(_joined(part.base64, of))
        case ValuePart():
            return part.value.encode()
    raise TypeError(f"{part!r} is no part of a recipe")


def digest_of(name: str, data: bytes) -> bytes:
    """md5, sha1, sha256, sha512 or blake2b_512 of bytes."""
    if name == "blake2b_512":
        return hashlib.blake2b(data, digest_size=64).digest()
    return hashlib.new(name, data, usedforsecurity=False).digest()


def _whole(part: str, of: Ingredients) -> bytes:
    match part:
        case "raw_body":
            return of.parts.request.body
        case "minified_body":
            return of.parts.json.minified()
        case "url":
            return _text(of.parts.request.url)
        case "method":
            return _text(of.parts.request.method)
        case "secret":
            return of.secret
    raise TypeError(f"{part!r} is no part of a recipe")


def _present(value: bytes | None, where: str, name: str) -> bytes:
    if value is None:
        raise PartMissing(f"The signature covers the {described(where, name)}, which is not in the request.")
    return value


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _spelled(url: str, how: str) -> str:
    if how == "decoded":
        return _DECODED.sub(lambda found: chr(int(found[1], 16)), url)
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        bare = host[: -len(f":{parts.port}")] if parts.port is not None else host
    except ValueError:
        return url
    if how == "with_port" and parts.port is None:
        bare = f"{host}:{_PORTS.get(parts.scheme, 443)}"
    elif how == "with_port":
        bare = host
    return urlunsplit(parts._replace(netloc=bare))


def _sorted(part: SortedParamsPart, of: Ingredients) -> bytes:
    fields: list[tuple[str, str]] = []
    for where in part.sorted_params.split("_and_"):
        source = of.parts.form if where == "form" else of.parts.request.query
        fields.extend(field for field in source if (where, field[0]) != of.left_out)
    if part.lists != "repeat":
        fields = _listed(fields, part.lists)
    if part.distinct:
        fields = list(set(fields))
    pairs = [
        (_escaped(name, part.escape and part.escape + "="), _escaped(value, part.escape)) for name, value in fields
    ]
    return _text(part.between.join(f"{name}{part.pair}{value}" for name, value in sorted(pairs)))


def _listed(fields: Iterable[tuple[str, str]], how: str) -> list[tuple[str, str]]:
    by_name: dict[str, list[str]] = {}
    for name, value in fields:
        by_name.setdefault(name, []).append(value)
    if how == "comma":
        return [(name, ",".join(values)) for name, values in by_name.items()]
    return [
        (name.removesuffix("[]"), json.dumps(values, ensure_ascii=False))
        if name.endswith("[]") or len(values) > 1
        else (name, values[0])
        for name, values in by_name.items()
    ]


def _escaped(text: str, characters: str) -> str:
    if not characters:
        return text
    return "".join(f"%{ord(c):02X}" if c in characters else c for c in text)
