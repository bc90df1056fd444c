"""Between the structured mode of a CloudEvents 1.0 event and its Kafka binary mode.

In binary mode the record's value is the event's data and each attribute is a `ce_` header with text in
UTF-8; `datacontenttype` is the header `content-type` (CloudEvents Kafka protocol binding 1.0.2, §3.2).
Attributes that are integers or booleans come back as their canonical text: headers carry no types.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import orjson

PREFIX = "ce_"
CONTENT_TYPE = "content-type"
BODY = ("data", "data_base64")
_CLOSING, _SPACE = b"} "
_OWN = ("deliveryid", "id", "commandkey", "subject", "partitionkey", "time")
_OWN_BEGINS = b',"deliveryid":'
_DELIVERY, _ID, _COMMAND_KEY, _SUBJECT, _KEY, _TIME = [PREFIX + name for name in _OWN]
# Each text as it is: no escapes, no control characters.
_OWN_TEXTS = re.compile(b"".join(rb',"%b":"([^"\\\x00-\x1f]+)"' % name.encode() for name in _OWN) + rb',"data":(?=\S)')
_DATA = b',"data":'
REQUIRED = ("specversion", "id", "source", "type")

Header = tuple[str, bytes]
Binary = tuple[list[Header], bytes]
"""Headers and value of a Kafka record."""

_decoder = json.JSONDecoder()
_space = re.compile(r"[ \t\r\n]*")
_json_media_type = re.compile(r"[^/;]+/(?:[^/;]+\+)?json\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)


class NotACloudEvent(ValueError):
    """The bytes are not a CloudEvents 1.0 event that the binary mode can carry; the text says why."""


def to_binary(event: bytes) -> Binary:
    """Headers and value of the Kafka record of a structured event; the bytes of `data` stay as they are.

    Raises NotACloudEvent.
    """
    if (binary := _command(event, *_latest[0]) or _further(event) or _data_last(event)) is not None:
        return binary
    try:
        return _to_binary(_members(event))
    except NotACloudEvent:
        raise
    except (ValueError, IndexError, RecursionError) as error:
        raise NotACloudEvent(f"the event is not a JSON object: {error}") from None


_latest: list[tuple[bytes, tuple[Header, ...]]] = [(b"no command begins like this", ())]
"""How the last command that `_further` saw began: commands of a kind come one after another."""


def _command(event: bytes, beginning: bytes, head: tuple[Header, ...]) -> Binary | None:
    """The same for a command as the interpreter writes it, with this beginning; None for others."""
    if not event.startswith(beginning) or not (own := _OWN_TEXTS.match(event, len(beginning))):
        return None
    data = event[own.end() : -1]
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not event.isascii() or event[-1] != _CLOSING or event[-2] <= _SPACE:
        return None
    delivery, id, command_key, subject, key, time = own.groups()
    # Spelt out: to zip names and texts takes as long as to find the texts.
    return [
        *head, (_DELIVERY, delivery), (_ID, id), (_COMMAND_KEY, command_key), (_SUBJECT, subject), (_KEY, key),
        (_TIME, time),
    ], data  # fmt: skip


def _further(event: bytes) -> Binary | None:
    """The same for a command of another kind than the one before it."""
    beginning = event[: max(0, event.find(_OWN_BEGINS))]
    if not (head := _head(beginning)):
        return None
    _latest[0] = (beginning, head)
    return _command(event, beginning, head)


@lru_cache(1024)
def _head(text: bytes) -> tuple[Header, ...]:
    """The headers of plain attributes whose object is not closed yet; () when they begin no command."""
    try:
        attributes = orjson.loads(text + b"}")
    except orjson.JSONDecodeError:
        return ()
    known = attributes.keys()
    plain = all(type(value) in (str, int, bool) and value != "" for value in attributes.values())
    if not plain or known & {*_OWN, *BODY} or not known >= {*REQUIRED} - {*_OWN}:
        return ()
    if attributes.pop("datacontenttype", "application/json") != "application/json":
        return ()
    headers = [(PREFIX + name, _text(name, value)) for name, value in attributes.items()]
    return (*headers, (CONTENT_TYPE, b"application/json"))


def _data_last(event: bytes) -> Binary | None:
    """The same for an event as the interpreter writes it: plain attributes, then its data. None for others.

    A quotation mark inside a text is escaped, so what is found first is a member's name; had it stood in an
    attribute's own object, what is before it would be no JSON.
    """
    at = event.find(_DATA)
    data = event[at + len(_DATA) : -1]
    if at < 0 or event[-1:] != b"}" or data[:1].isspace() or data[-1:].isspace():
        return None
    try:
        attributes = orjson.loads(event[:at] + b"}")
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if attributes.pop("datacontenttype", "application/json") != "application/json":
        return None
    headers: list[Header] = []
    for name, value in attributes.items():
        if type(value) is str:
            headers.append((PREFIX + name, value.encode()))
        elif type(value) is int or type(value) is bool:
            headers.append((PREFIX + name, _text(name, value)))
        else:
            return None
    for name in REQUIRED:
        if type(attributes.get(name)) is not str or not attributes[name]:
            return None
    if "data" in attributes or "data_base64" in attributes:
        return None
    headers.append((CONTENT_TYPE, b"application/json"))
    return headers, data


def _to_binary(members: dict[str, str]) -> Binary:
    attributes = {name: json.loads(text) for name, text in members.items() if name not in BODY}
    for name in REQUIRED:
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise NotACloudEvent(f"the attribute {name} is missing")
    content_type = attributes.pop("datacontenttype", "application/json")
    headers = [(PREFIX + name, _text(name, attribute)) for name, attribute in attributes.items()]
    return [*headers, (CONTENT_TYPE, _text("datacontenttype", content_type))], _value(members, content_type)


def to_structured(headers: Iterable[Header], value: bytes) -> bytes:
    """The structured event of a Kafka record in binary mode. Headers without the prefix are left out.

    Raises NotACloudEvent when a required attribute has no header.
    """
    attributes: dict[str, str] = {}
    content_type = "application/json"
    for name, raw in headers:
        if name.startswith(PREFIX):
            attributes[name.removeprefix(PREFIX)] = raw.decode("utf-8", "replace")
        elif name.lower() == CONTENT_TYPE:
            content_type = raw.decode("utf-8", "replace")
    if any(name not in attributes for name in REQUIRED):
        raise NotACloudEvent("a required ce_ header is missing")
    head = orjson.dumps({**attributes, "datacontenttype": content_type})[:-1]
    if not value:
        return head + b"}"
    if _json_media_type.fullmatch(content_type):
        return head + b',"data":' + value + b"}"
    return head + b',"data_base64":"' + base64.b64encode(value) + b'"}'


def _members(event: bytes) -> dict[str, str]:
    """The members of the event's object, each value as its JSON text."""
    return dict(_scan(event.decode("utf-8")))


def _scan(text: str) -> Iterator[tuple[str, str]]:
    at = _expect(text, 0, "{")
    if text[at] == "}":
        return
    while True:
        name, end = _decoder.raw_decode(text, at)
        if not isinstance(name, str):
            raise ValueError("a member's name is not text")
        start = _expect(text, end, ":")
        _, end = _decoder.raw_decode(text, start)
        yield name, text[start:end]
        end = _skip(text, end)
        if text[end] == "}":
            if _skip(text, end + 1) != len(text):
                raise ValueError("there is something after the object")
            return
        at = _expect(text, end, ",")


def _expect(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at] != sign:
        raise ValueError(f"expected {sign!r} at character {at}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _space.match(text, at)
    return at if match is None else match.end()


def _value(members: dict[str, str], content_type: object) -> bytes:
    if "data_base64" in members:
        text = json.loads(members["data_base64"])
        if not isinstance(text, str):
            raise NotACloudEvent("data_base64 is not text")
        return base64.b64decode(text, validate=True)
    if "data" not in members:
        return b""
    if not isinstance(content_type, str) or not _json_media_type.fullmatch(content_type):
        raise NotACloudEvent("data that is not JSON stands in data_base64")
    return members["data"].encode()


def _text(name: str, attribute: Any) -> bytes:
    if isinstance(attribute, bool):
        return b"true" if attribute else b"false"
    if isinstance(attribute, int):
        return str(attribute).encode()
    if isinstance(attribute, str):
        return attribute.encode()
    raise NotACloudEvent(f"the attribute {name} is neither text, integer nor boolean")
