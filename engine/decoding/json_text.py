"""JSON read strictly (RFC 8259), with every number as its source text.

Duplicate keys, NaN and Infinity, lone surrogates, NUL, nesting beyond 201 levels and numbers beyond 64
characters are refused: what two readers may understand differently is not understood at all.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import jiter

from engine.decoding.charsets import UTF8, utf8
from engine.decoding.refusals import VALUES_LIMIT, refusal, shown
from engine.failures import Refusal

NUMBER_LIMIT = 64
"""The most characters of a number."""

_strict = partial(jiter.from_json, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="lossless-float")
# Keeps "-0", which an int cannot; it is lax, and so comes only after the strict reader.
_source_texts = json.JSONDecoder(parse_int=str, parse_float=str).decode
_SHAPES = bytes.maketrans(b"-0123456789[,: \t\r\n", b"0" * 11 + b":" * 7)
_MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])(?<![^\[,:\s]-0)")
_PLACE = re.compile(r"(.*) at line (\d+) column (\d+)$", re.S)
_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.S)
_NUMBERS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|(-?[0-9][0-9.eE+-]*)', re.S)

_MEND = "Mend the JSON at the sender."
_REASONS = (
    ("recursion limit", "body_too_deep", "The JSON nests deeper than 201 levels", "Flatten the message."),
    (
        "Detected duplicate key",
        "body_duplicate_key",
        "An object of the JSON has one key twice",
        "Send every key once.",
    ),
    (
        "number out of range",
        "body_number_too_long",
        "The JSON holds a number that is far too long",
        "Send it as text.",
    ),
    (
        "invalid unicode code point",
        "body_wrong_charset",
        "The JSON is not UTF-8",
        "Send UTF-8, or declare the charset in Content-Type.",
    ),
    ("lone leading surrogate", "body_lone_surrogate", "A text of the JSON holds half a character", _MEND),
    (
        "unexpected end of hex escape",
        "body_lone_surrogate",
        "A text of the JSON holds half a character",
        _MEND,
    ),
)


def decode(body: bytes, charset: str = "", *, values: int = VALUES_LIMIT) -> Any:
    """The object or list in a body of at most so many values."""
    if charset not in UTF8 or body[:1] not in (b"{", b"[") or body[1:2] == b"\0":
        body = utf8(body, charset)
    if len(body) > values:
        check_values(body, values)
    document = decode_value(body)
    if type(document) is dict or type(document) is list:
        return document
    raise refusal(
        "body_not_document",
        f"The JSON is a lone {_kind(document)}, where an object or a list is expected.",
        "Send an object or a list.",
    )


def check_values(body: bytes, limit: int) -> None:
    """Refuses before the values take memory: an empty list is 3 bytes of a body."""
    if _most_values(body) > limit and (count := _most_values(_TEXTS.sub(b"", body))) > limit:
        raise refusal(
            "body_too_many_values",
            f"The JSON holds some {count} values; {limit} are read.",
            "Send the message in smaller parts, or raise limits.values.",
            count=count,
        )


def _most_values(body: bytes) -> int:
    """What begins a value, but for the outermost: commas, and the brackets in which one may stand."""
    return sum(map(body.count, (b",", b"[", b"{")))


def decode_value(body: bytes) -> Any:
    """Any one JSON value in UTF-8, numbers as their source text."""
    try:
        value = _strict(body)
    except ValueError as error:
        raise _refused(body, str(error)) from None
    if b"\\u0000" in body and _holds_nul(value):
        raise refusal("body_nul", "A text of the JSON holds the character NUL.", "Leave NUL out of texts.")
    # A number follows one of [ , : and white space, or starts the text; so this never misses one.
    if b":0" not in body.translate(_SHAPES) and (type(value) is dict or type(value) is list):
        return value
    return _with_source_texts(value, body)


def _with_source_texts(value: Any, body: bytes) -> Any:
    if b"-0" in body and _MINUS_ZERO.search(body):
        _check_numbers(body)
        return _source_texts(body.decode())
    holder = [value]
    try:
        longest = _put_texts(holder)
    except ValueError:  # an integer beyond sys.get_int_max_str_digits()
        longest = NUMBER_LIMIT + 1
    if longest > NUMBER_LIMIT:
        _check_numbers(body)
    return holder[0]


def _put_texts(root: list[Any]) -> int:
    """Puts the source text in the place of every number; the length of the longest one."""
    longest = 0
    pending: list[Any] = [root]
    for node in pending:
        for key, value in node.items() if type(node) is dict else enumerate(node):
            kind = type(value)
            if kind is str:
                continue
            if kind is dict or kind is list:
                pending.append(value)
            elif kind is not bool and value is not None:
                text = node[key] = str(value)
                if len(text) > longest:
                    longest = len(text)
    return longest


def _check_numbers(body: bytes) -> None:
    for found in _NUMBERS.finditer(body):
        if found[1] and len(found[1]) > NUMBER_LIMIT:
            line, column = _line_and_column(body, found.start())
            raise refusal(
                "body_number_too_long",
                f"The JSON holds a number of {len(found[1])} characters at line {line} column {column}; "
                f"{NUMBER_LIMIT} are read.",
                "Send it as text.",
                line=line,
                column=column,
            )


def _line_and_column(body: bytes, offset: int) -> tuple[int, int]:
    return body.count(b"\n", 0, offset) + 1, offset - body.rfind(b"\n", 0, offset)


def _holds_nul(value: Any) -> bool:
    pending = [value]
    while pending:
        node = pending.pop()
        if type(node) is str:
            if "\0" in node:
                return True
        elif type(node) is dict:
            pending.extend(node)
            pending.extend(node.values())
        elif type(node) is list:
            pending.extend(node)
    return False


def _refused(body: bytes, said: str) -> Refusal:
    if not body.strip():
        return refusal("body_empty", "The body is empty.", "Send the message as JSON.")
    found = _PLACE.match(said)
    reason, line, column = (found[1], int(found[2]), int(found[3])) if found else (said, 1, 1)
    at = f"line {line} column {column}"
    for sign, code, sentence, next_step in _REASONS:
        if sign in reason:
            return refusal(code, f"{sentence}, at {at}.", next_step, line=line, column=column, **_key_in(reason))
    return refusal("body_not_json", f"The body is not JSON: {reason[:200]}, at {at}.", _MEND, line=line, column=column)


def _key_in(reason: str) -> dict[str, str]:
    found = re.match(r'Detected duplicate key "(.*)"$', reason, re.S)
    return {"key": shown(found[1])} if found else {}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "true or false" if type(value) is bool else "value"
