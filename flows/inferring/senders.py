"""How a sender proves itself and names its messages, by the headers of samples."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

from flows.inferring.sketches import Guess

Headers = Iterable[tuple[str, str]]

_SIZES = {20: "sha1", 32: "sha256", 64: "sha512"}
_SIGNATURE = re.compile(r"signature|hmac|(^|-)sign(ed)?($|-)", re.I)
_TOKEN = re.compile(r"api-?key|access-?(key|token)|auth-?token|(^|-)token$|(^|-)secret$|client-?key", re.I)
_MESSAGE = re.compile(r"(webhook|event|delivery|message|request|notification)-?id$|idempotency-key$", re.I)
_PREFIX = re.compile(r"((?:sha(?:1|256|512)|hmac|v\d)[=: ]\s*)", re.I)
SECRET = "api_key"  # noqa: S105
"""The name that the connection's secret is given."""


def auth_of(headers: Headers) -> tuple[dict[str, Any], Guess]:
    """The `auth` block. Where no header shows one, a token is asked for: never nothing."""
    given = tuple(headers)
    for name, value in given:
        if _SIGNATURE.search(name) and (made := _signature(name, value)):
            because = f"{name} has the size of this hash; what it covers is not known: see provider explain"
            return made, Guess("auth", f"hmac over raw_body in {name}", 0.6, because)
    for name, value in given:
        if name.lower() == "authorization" and value.lower().startswith("bearer "):
            written = {"scheme": "token", "header": "Authorization", "prefix": "Bearer ", "secret": SECRET}
            return written, Guess("auth", "a bearer token", 0.8, "Authorization holds one")
        if name.lower() == "authorization" and value.lower().startswith("basic "):
            return {"scheme": "basic", "secret": SECRET}, Guess("auth", "HTTP Basic", 0.9, "Authorization holds it")
    for name, _ in given:
        if _TOKEN.search(name):
            written = {"scheme": "token", "header": name, "secret": SECRET}
            return written, Guess("auth", f"a token in {name}", 0.8, "the header is named so")
    written = {"scheme": "token", "header": "X-Api-Key", "secret": SECRET}
    return written, Guess(
        "auth", "a token in X-Api-Key", 0.1, "no sample shows a header: ask the provider, or --from-har"
    )


def _signature(name: str, value: str) -> dict[str, Any] | None:
    found = _PREFIX.match(value)
    prefix = found[1] if found else ""
    text = value[len(prefix) :]
    for encoding, raw in (("hex", _hex(text)), ("base64", _base64(text))):
        if raw is not None and len(raw) in _SIZES:
            signature = {"header": name, "encoding": encoding, **({"prefix": prefix} if prefix else {})}
            return {"scheme": "hmac", "algorithm": _SIZES[len(raw)], "sign": ["raw_body"], "secret": SECRET,
                    "signature": signature}  # fmt: skip
    return None


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def message_header(headers: Headers) -> str | None:
    """The header that names a message, in lower case."""
    return next((name.lower() for name, value in headers if value and _MESSAGE.search(name)), None)


def safe_headers(headers: Headers) -> dict[str, str]:
    """What may be kept in a golden case: the type of the body and the message's name, nothing secret."""
    return {n: v for n, v in headers if n.lower() == "content-type" or (_MESSAGE.search(n) and not _TOKEN.search(n))}
