"""The raw source text of one value in a JSON body, as senders sign it.

A number gives its source text, a string its unescaped text in UTF-8, true, false and null their names,
an object or a list its source as it stands. The body is read strictly first: what two readers could
understand differently is not read at all.
"""

from __future__ import annotations

import json
import re

from engine.decoding.charsets import BOM
from engine.decoding.json_text import decode_value
from engine.payload_paths import steps

_TOKEN = re.compile(rb'[ \t\r\n]*("[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^ \t\r\n{}\[\],:"]+)', re.S)
_STRING_OR_SPACE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.S)


class JsonSource:
    """A JSON body whose values' source can be asked for. Raises Refusal for what is not strict JSON."""

    def __init__(self, body: bytes) -> None:
        self._body = body.removeprefix(BOM)
        decode_value(self._body)

    def text(self, path: str) -> bytes | None:
        """The text of the value at a dotted path; None where there is none."""
        at = self._at(path)
        if at is None:
            return None
        start, end = self._token(at)
        first = self._body[start : start + 1]
        if first == b'"':
            unescaped: str = json.loads(self._body[start:end].decode())
            return unescaped.encode()
        return self._body[start : self._end(at)] if first in (b"{", b"[") else self._body[start:end]

    def elements(self, path: str) -> list[JsonSource]:
        """The elements of the list at a dotted path; none where there is no list."""
        at = self._at(path)
        if at is None or self._body[slice(*self._token(at))] != b"[":
            return []
        at = self._token(at)[1]
        found: list[JsonSource] = []
        start, end = self._token(at)
        while self._body[start:end] not in (b"]", b""):
            end = self._end(start)
            found.append(self._part(start, end))
            start, end = self._token(end)
            if self._body[start:end] == b",":
                start, end = self._token(end)
        return found

    def _part(self, start: int, end: int) -> JsonSource:
        part = object.__new__(JsonSource)
        part._body = self._body[start:end]
        return part

    def _at(self, path: str) -> int | None:
        """Where the value at a path begins."""
        at = 0
        for step in steps(path):
            found = self._child(at, step)
            if found is None:
                return None
            at = found
        return at

    def minified(self) -> bytes:
        """The body without the white space between its tokens."""
        return _STRING_OR_SPACE.sub(lambda found: found[1] or b"", self._body)

    def _token(self, at: int) -> tuple[int, int]:
        found = _TOKEN.match(self._body, at)
        return found.span(1) if found else (len(self._body), len(self._body))

    def _end(self, at: int) -> int:
        """Where the value that starts at or after `at` ends."""
        depth = 0
        while True:
            start, at = self._token(at)
            opening = self._body[start : start + 1]
            if opening in (b"{", b"["):
                depth += 1
            elif opening in (b"}", b"]"):
                depth -= 1
            if depth <= 0 or start == at:
                return at

    def _child(self, at: int, step: str) -> int | None:
        start, inside = self._token(at)
        opening = self._body[start : start + 1]
        if opening == b"{":
            return self._member(inside, step)
        if opening == b"[" and re.fullmatch(r"[0-9]{1,9}", step):
            return self._element(inside, int(step))
        return None

    def _member(self, at: int, name: str) -> int | None:
        while True:
            start, end = self._token(at)
            if self._body[start : start + 1] != b'"':
                return None
            value = self._token(end)[1]
            if json.loads(self._body[start:end].decode()) == name:
                return value
            at = self._end(value)
            start, end = self._token(at)
            if self._body[start:end] != b",":
                return None
            at = end

    def _element(self, at: int, index: int) -> int | None:
        start, end = self._token(at)
        if self._body[start:end] == b"]":
            return None
        while index:
            start, at = self._token(self._end(at))
            if self._body[start:at] != b",":
                return None
            index -= 1
        return at
