"""Bodies become UTF-8: the charset that Content-Type declares is honoured, or refused by name."""

from __future__ import annotations

import codecs

from engine.decoding.refusals import refusal, shown
from engine.failures import Refusal

BOM = codecs.BOM_UTF8
UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
CODECS = {
    "iso-8859-1": "iso-8859-1",
    "iso8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "iso-8859-2": "iso-8859-2",
    "iso-8859-15": "iso-8859-15",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
}
WIDE = {"utf-16": "utf-16", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be"}
"""Read only where the format is used to them: tables of spreadsheet programs, and XML."""
_DECLARE = "Ask the sender for UTF-8, or for the charset parameter that its bytes are really in."


def utf8(body: bytes, charset: str) -> bytes:
    """The body without a byte order mark, in UTF-8 as far as the charset says so; not checked further."""
    if charset not in UTF8:
        body = text(body, charset).encode()
    if body[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in body[:4]:
        raise refusal("body_wrong_charset", "The body is UTF-16 or UTF-32, not UTF-8.", _DECLARE)
    return body[3:] if body.startswith(BOM) else body


def text(body: bytes, charset: str, *, wide: bool = False) -> str:
    """The body as text, without a byte order mark; in UTF-16 too where `wide` allows it."""
    return decoded(body, charset, wide=wide).removeprefix("\ufeff")


def decoded(body: bytes, charset: str, *, wide: bool = False) -> str:
    """Part of a body as text, as it stands."""
    codec = "utf-8" if charset in UTF8 else CODECS.get(charset) or (WIDE.get(charset) if wide else None)
    if codec is None:
        raise refusal(
            "body_wrong_charset",
            f"The charset {shown(charset)} is not read.",
            "Ask the sender for UTF-8.",
            charset=charset[:40],
        )
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        raise wrong_byte(error.start, charset) from None


def wrong_byte(offset: int, charset: str = "") -> Refusal:
    """The refusal of a body whose byte at `offset` (from 0) does not belong to its charset."""
    return refusal(
        "body_wrong_charset",
        f"The body is not {charset or 'UTF-8'}: byte {offset} does not belong to it.",
        _DECLARE,
        offset=offset,
    )
