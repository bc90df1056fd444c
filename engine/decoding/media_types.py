"""What the headers say about a body, and which of the accepted formats it then has."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from engine.decoding.charsets import BOM
from engine.decoding.refusals import refusal, shown
from engine.failures import Refusal
from engine.tuples import maker

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
MEDIA_TYPES = {
    "application/json": "json",
    "application/x-json": "json",
    "text/json": "json",
    "text/x-json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
    "application/jsonlines": "ndjson",
    FORM: "form",
    "application/jwt": "jwt",
    "text/csv": "csv",
    "application/csv": "csv",
    "text/x-csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/tsv": "tsv",
    "application/xml": "xml",
    "text/xml": "xml",
    "application/edi-x12": "x12",
    "application/x12": "x12",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";\s]*)', re.IGNORECASE)


class Headers(NamedTuple):
    """Content-Type and Content-Encoding, in lower case; "" where absent."""

    media_type: str
    charset: str
    encoding: str


_as_headers = maker(Headers)


def headers_of(headers: tuple[tuple[bytes, bytes], ...]) -> Headers:
    """The first Content-Type, and every Content-Encoding but identity, joined with a comma."""
    content_type: bytes | None = None
    encodings = ""
    for name, value in headers:
        if name == b"content-type" and content_type is None:
            content_type = value
        elif name == b"content-encoding":
            encodings += f",{value.decode('latin-1')}"
    media_type, charset = _parsed(content_type or b"")
    if not encodings:
        return _as_headers((media_type, charset, ""))
    wanted = [e for e in (one.strip().lower() for one in encodings.split(",")) if e not in ("", "identity")]
    return Headers(media_type, charset, ",".join(wanted))


@lru_cache(maxsize=256)
def _parsed(content_type: bytes) -> tuple[str, str]:
    said = content_type.decode("latin-1")
    charset = _CHARSET.search(said)
    return said.partition(";")[0].strip().lower(), charset[1].lower() if charset else ""


def format_of(accept: tuple[str, ...], headers: Headers, body: bytes) -> str:
    """The format of a body. Of several accepted ones Content-Type decides; one alone it must not contradict.

    Clients such as curl send JSON labelled as a form unless told otherwise, so a JSON feed refuses a form
    by its bytes and not by its label.
    """
    if len(accept) == 1:
        if _contradicts(accept[0], headers.media_type, body):
            raise _unsupported(accept, headers.media_type)
        return accept[0]
    said = "none" if "none" in accept and not body else _named(headers.media_type)
    if said not in accept:
        raise _unsupported(accept, headers.media_type)
    return said


def media_type_of(name: str) -> str:
    """The usual media type of a format, "" where there is no body."""
    return next((media_type for media_type, known in MEDIA_TYPES.items() if known == name), "")


def _contradicts(accepted: str, media_type: str, body: bytes) -> bool:
    if media_type == MULTIPART:
        return True
    if media_type != FORM or accepted not in ("json", "ndjson"):
        return False
    return body[:64].removeprefix(BOM).lstrip()[:1] not in (b"{", b"[", b"")


def _named(media_type: str) -> str:
    known = MEDIA_TYPES.get(media_type)
    return known or ("json" if media_type.endswith("+json") else "xml" if media_type.endswith("+xml") else "")


def _unsupported(accept: tuple[str, ...], media_type: str) -> Refusal:
    wanted = [media_type_of(one) or "no body" for one in accept]
    said = f"Content-Type {shown(media_type)} is not" if media_type else "There is no Content-Type; it is not one"
    return refusal(
        "content_type_unsupported",
        f"{said} what this feed takes: {', '.join(wanted)}.",
        f"Send the body as {' or '.join(wanted)}, and say so in Content-Type.",
        content_type=media_type[:80],
        accepted=wanted,
    )
