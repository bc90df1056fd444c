"""Forms (application/x-www-form-urlencoded, WHATWG URL §5.1), read strictly and as UTF-8."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from engine.decoding.charsets import BOM, decoded
from engine.decoding.refusals import refusal
from engine.failures import Refusal

MAX_FIELDS = 1000

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ENCODE = "Send name=value pairs joined with &, percent-encoded."


def decode(body: bytes, charset: str = "") -> dict[str, str | list[str]]:
    """Each name with its text; with the list of its texts, in order, where it stands several times."""
    fields: dict[str, str | list[str]] = {}
    for name, value in pairs(body, charset):
        known = fields.get(name)
        if known is None:
            fields[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            fields[name] = [known, value]
    if not fields:
        raise refusal("body_empty", "The body is empty.", "Send the message as a form.")
    return fields


def pairs(body: bytes, charset: str = "") -> list[tuple[str, str]]:
    """The fields in order. Raises Refusal."""
    body = body.removeprefix(BOM).rstrip(b"\r\n")
    if found := _BAD_ESCAPE.search(body):
        raise refusal(
            "body_not_form",
            f"The form has a broken % escape at byte {found.start()}.",
            _ENCODE,
            offset=found.start(),
        )
    parts = [part for part in body.split(b"&") if part]
    if len(parts) > MAX_FIELDS:
        raise refusal(
            "body_too_many_fields",
            f"The form has more than {MAX_FIELDS} fields.",
            "Split the message.",
            limit=MAX_FIELDS,
        )
    return [_pair(part, number, charset) for number, part in enumerate(parts, start=1)]


def _pair(part: bytes, number: int, charset: str) -> tuple[str, str]:
    name, equals, value = part.partition(b"=")
    if not equals or not name:
        lacks = "name" if equals else "="
        raise refusal("body_not_form", f"Field {number} of the form has no {lacks}.", _ENCODE, field=number)
    return _unquoted(name, number, charset), _unquoted(value, number, charset)


def _unquoted(quoted: bytes, number: int, charset: str) -> str:
    raw = unquote_to_bytes(quoted.replace(b"+", b" "))
    if b"\0" in raw:
        raise refusal(
            "body_nul", f"Field {number} of the form holds the character NUL.", "Leave NUL out.", field=number
        )
    try:
        return decoded(raw, charset)
    except Refusal as refused:
        inner = refused.failure
        message = f"Field {number} of the form: {inner.message}"
        raise refusal(inner.code, message, inner.next_step, field=number) from None
