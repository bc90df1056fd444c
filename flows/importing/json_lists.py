"""JSON documents of any size: the elements of one list, one by one.

The document is looked through for brackets and quotes alone; each element is then read as strictly as any JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.decoding import json_text
from engine.decoding.charsets import BOM, UTF8
from engine.decoding.refusals import refusal
from engine.failures import Refusal
from flows.importing.rows import HEAD_LIMIT, LINE_LIMIT, Row, Source, Spooled, element_too_long, head_too_long, placed

Path = tuple[str, ...]
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]', re.S)
_DEPTH = 200
_OPEN = {ord("{"): "{", ord("["): "["}


class Span(NamedTuple):
    """A list that rules read: where it stands, and its bytes between the brackets."""

    path: Path
    start: int
    end: int


def source(file: Spooled, charset: str, paths: Sequence[Path]) -> Source:
    """The longest list at one of the paths. Raises Refusal; so do the rows where the text breaks off."""
    if charset not in UTF8:
        raise refusal("body_wrong_charset", "A JSON file is UTF-8.", "Send UTF-8.")
    spans = list(_spans(file, paths))
    if not spans:
        raise refusal(
            "body_no_rows",
            f"The document has no list at {' or '.join('.'.join(p) or '$' for p in paths)}.",
            "Send the list that the rules' each names.",
        )
    chosen = max(spans, key=lambda span: span.end - span.start)
    head = json_text.decode_value(_around(file, chosen))
    later = head
    for span in spans:
        if span is not chosen and span.path != chosen.path[: len(span.path)]:
            later = placed(later, span.path, [])
    return Source(chosen.path, head, later, _rows(file, chosen))


class _Scan:
    """Where the document stands: the open brackets, each with the key that it stands under."""

    def __init__(self) -> None:
        self.open: list[tuple[str, str]] = []
        self.key = ""

    @property
    def path(self) -> Path | None:
        """The path of keys to the innermost bracket; None where a list lies on the way."""
        if any(bracket == "[" for bracket, _ in self.open[:-1]):
            return None
        return tuple(key for _, key in self.open[1:])


def _tokens(file: Spooled) -> Iterator[tuple[int, bytes]]:
    """Brackets, commas and texts with their offsets. A text is told before what may follow it."""
    held, offset = b"", 0
    for block in file.blocks():
        held += block
        last = 0
        for found in _TOKEN.finditer(held):
            yield offset + found.start(), found[0]
            last = found.end()
        # What is left begins at most with a text that is not at its end yet.
        quote = held.find(b'"', last)
        keep = quote if quote >= 0 else len(held)
        if len(held) - keep > LINE_LIMIT:
            raise refusal("body_not_json", "A text of the JSON does not end.", "Mend the JSON at the sender.")
        held, offset = held[keep:], offset + keep
    if held.strip():
        raise _cut_short()


def _cut_short() -> Refusal:
    return refusal("body_not_json", "The JSON ends in the middle of a value.", "Send the whole file again.")


def _spans(file: Spooled, paths: Sequence[Path]) -> Iterator[Span]:
    wanted = set(paths)
    scan = _Scan()
    started: dict[int, tuple[Path, int]] = {}
    text = b""
    for at, token in _tokens(file):
        sign = token[0]
        if sign == 34:
            text = token
        elif sign in _OPEN:
            # A text right before a bracket is its key: in a list there is a comma between.
            scan.open.append((_OPEN[sign], _key(text) if scan.open and scan.open[-1][0] == "{" else ""))
            if len(scan.open) > _DEPTH:
                raise refusal("body_too_deep", "The JSON nests deeper than 200 levels.", "Flatten the message.")
            if sign == 91 and (path := scan.path) is not None and _is_wanted(path, wanted):
                started[len(scan.open)] = (path, at + 1)
            text = b""
        elif sign != 44:
            if not scan.open or scan.open[-1][0] != ("{" if sign == 125 else "["):
                raise refusal("body_not_json", f"The brackets do not match at byte {at}.", "Mend the JSON.")
            if len(scan.open) in started:
                path, start = started.pop(len(scan.open))
                yield Span(path, start, at)
            scan.open.pop()
            text = b""
        else:
            text = b""
    if scan.open:
        raise _cut_short()


def _key(text: bytes) -> str:
    if not text:
        return ""
    value = json_text.decode_value(text)
    return value if isinstance(value, str) else ""


def _is_wanted(path: Path, wanted: set[Path]) -> bool:
    """A list on the way to what a rule names holds it: `stores.items` of a list of stores."""
    return any(one[: len(path)] == path for one in wanted)


def _around(file: Spooled, span: Span) -> bytes:
    """The document with an empty list in the place of the rows."""
    kept, at = bytearray(), 0
    for block in file.blocks():
        kept += block[: max(0, span.start - at)]
        kept += block[max(0, span.end - at) :]
        at += len(block)
        if len(kept) > HEAD_LIMIT:
            raise head_too_long()
    return bytes(kept).removeprefix(BOM)


def _rows(file: Spooled, span: Span) -> Iterator[Row]:
    for number, element in enumerate(_elements(file, span), start=1):
        try:
            yield Row(number, json_text.decode_value(element))
        except Refusal as refused:
            yield Row(number, None, refused.failure)


def _elements(file: Spooled, span: Span) -> Iterator[bytes]:
    """The bytes of each element."""
    held, offset, depth, begin, count = b"", 0, 0, 0, 0
    for block in _part(file, span):
        held += block
        last = 0
        for found in _TOKEN.finditer(held, offset):
            sign = held[found.start()]
            last = found.end()
            if sign == 44 and depth == 0:
                count += 1
                yield held[begin : found.start()]
                begin = found.end()
            elif sign in (123, 91):
                depth += 1
            elif sign in (125, 93):
                depth -= 1
        quote = held.find(b'"', max(last, offset))
        offset = (quote if quote >= 0 else len(held)) - begin
        held, begin = held[begin:], 0
        if len(held) > LINE_LIMIT:
            raise element_too_long(count + 1)
    if held.strip() or count:
        yield held


def _part(file: Spooled, span: Span) -> Iterator[bytes]:
    at = 0
    for block in file.blocks():
        start, end = max(0, span.start - at), min(len(block), span.end - at)
        if start < end:
            yield block[start:end]
        at += len(block)
        if at >= span.end:
            return
