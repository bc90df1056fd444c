"""Signatures as they are written in requests: one, a list of them, or named parts beside others."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from engine.auth_model import Signature

VALUE_LIMIT = 8192
"""The most bytes of a value that holds signatures."""
MAX_CANDIDATES = 32
"""The most signatures in one value: each is compared with each secret."""

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

_WORD = re.compile(r"[ \t]*[A-Za-z][A-Za-z0-9-]*[ \t]+(?=[^ \t=])")
_PARAM = re.compile(
    r'[ \t]*([A-Za-z0-9_().-]{1,64})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^",\s]*))[ \t]*(?:,|\Z)', re.S
)
_ESCAPE = re.compile(r"\\(.)", re.S)


class Malformed(ValueError):
    """A value that cannot be read as signatures. Its sentence does not quote the value."""


class Signed(NamedTuple):
    """What a signature's value holds: the signatures as bytes, and with `pairs` and `params` every named part."""

    candidates: tuple[bytes, ...]
    parts: Mapping[str, list[str]] = MappingProxyType({})

    def part(self, name: str) -> str | None:
        """The one part of this name; None where there is none. Raises Malformed where there are several."""
        values = self.parts.get(name, [])
        if len(values) > 1:
            raise Malformed(f"The signature has the part {name} {len(values)} times.")
        return values[0] if values else None


def read(value: bytes, signature: Signature) -> Signed:
    """The signatures in a value. Those of another version or encoding are passed over; one must be left."""
    if len(value) > VALUE_LIMIT:
        raise Malformed("The signature is too long to be one.")
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("The signature holds characters that are not ASCII.") from None
    parts: dict[str, list[str]] = {}
    if signature.parser == "plain":
        written = [text]
    elif signature.parser == "list":
        written = [one.strip() for one in text.split(signature.separator)]
    else:
        parts = _params(text) if signature.parser == "params" else _pairs(text, signature.separator)
        written = parts.get(signature.take or "", [])
    if len(written) > MAX_CANDIDATES:
        raise Malformed(f"There are more than {MAX_CANDIDATES} signatures.")
    candidates = tuple([c for one in written if (c := _candidate(one, signature)) is not None])
    if not candidates:
        raise Malformed(f"There is no signature in {signature.encoding} in the form that was agreed.")
    return Signed(candidates, parts)


def write(digest: bytes, signature: Signature, parts: dict[str, str]) -> str:
    """The value that holds one signature, and with `pairs` and `params` the other parts before it."""
    written = signature.prefix + encode(digest, signature.encoding)
    if signature.parser not in ("pairs", "params"):
        return written
    named = [*parts.items(), (signature.take or "", written)]
    if signature.parser == "params":
        return "Signature " + ",".join(f'{name}="{value}"' for name, value in named)
    return signature.separator.join(f"{name}={value}" for name, value in named)


def encode(raw: bytes, encoding: str) -> str:
    """Bytes as hex, base64 or (without padding) base64url."""
    if encoding == "hex":
        return raw.hex()
    if encoding == "base64":
        return base64.b64encode(raw).decode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str, encoding: str) -> bytes | None:
    """The bytes that a text stands for, None where it is not of this encoding. Padding is left out at will
    in base64url only."""
    if encoding == "hex":
        return bytes.fromhex(text) if _HEX.fullmatch(text) else None
    if encoding == "base64url":
        if "+" in text or "/" in text:
            return None
        text = text.rstrip("=").replace("-", "+").replace("_", "/")
        text += "=" * (-len(text) % 4)
    if not text or not _BASE64.fullmatch(text):
        return None
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        return None


def _pairs(text: str, separator: str) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for one in text.split(separator):
        name, equals, value = one.strip().partition("=")
        if equals:
            parts.setdefault(name.strip(), []).append(value.strip())
    return parts


def _params(text: str) -> dict[str, list[str]]:
    """The parameters behind the scheme's word, quoted or not; nothing where a stretch of it is no parameter."""
    parts: dict[str, list[str]] = {}
    at = found.end() if (found := _WORD.match(text)) else 0
    while at < len(text):
        one = _PARAM.match(text, at)
        if one is None:
            return {}
        quoted = one[2]
        parts.setdefault(one[1], []).append(_ESCAPE.sub(r"\1", quoted) if quoted is not None else one[3])
        at = one.end()
    return parts


def _candidate(text: str, signature: Signature) -> bytes | None:
    if not text.startswith(signature.prefix):
        return None
    return decode(text[len(signature.prefix) :], signature.encoding)
