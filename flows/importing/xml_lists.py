"""XML documents of any size: the elements of one list, one by one, as `engine.decoding.xml_text` reads them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

from engine.decoding import xml_text
from engine.decoding.charsets import CODECS, UTF8, WIDE
from engine.decoding.refusals import refusal, shown
from engine.failures import Refusal
from engine.formats import XmlOptions
from flows.importing.rows import HEAD_LIMIT, LINE_LIMIT, Row, Source, Spooled, element_too_long, head_too_long

Path = tuple[str, ...]
_VALUES = 100_000
"""The most values of one row, and of what stands round the rows."""


def source(file: Spooled, charset: str, options: XmlOptions, paths: Sequence[Path], depth: int) -> Source:
    """The list that comes first of those at the paths. Raises Refusal; so do the rows."""
    if options.envelope:
        raise refusal("import_envelope", "XML in an envelope is not read as rows.", "Send the document itself.")
    rows = _Rows(options, paths, depth)
    for _ in _read(file, charset, rows):
        pass
    if rows.path is None:
        raise refusal(
            "body_no_rows",
            f"The document has no element at {' or '.join('.'.join(p) for p in paths)}.",
            "Send the elements that the rules' each names.",
        )
    return Source(rows.path, rows.rest, rows.rest, _numbered(file, charset, _Rows(options, (rows.path,), depth)))


def _numbered(file: Spooled, charset: str, rows: _Rows) -> Iterator[Row]:
    for number, value in enumerate(_read(file, charset, rows), start=1):
        yield Row(number, value)


class _Rows(xml_text._Builder):
    """Hands over each element of the list as it ends, and keeps what stands round it."""

    def __init__(self, options: XmlOptions, paths: Sequence[Path], depth: int) -> None:
        super().__init__(options, _VALUES, depth)
        self._wanted = set(paths)
        self.path: Path | None = None
        self.ready: list[Any] = []
        self.rest: Any = {}
        self._length = 0
        self._counts: list[int] = []

    def start(self, tag: str, attributes: Any) -> None:
        self._counts.append(self._count)
        super().start(tag, attributes)

    def data(self, text: str) -> None:
        self._length += len(text)
        if self._length > LINE_LIMIT:
            raise element_too_long(len(self.ready) + 1) if self.path else head_too_long()
        super().data(text)

    def end(self, tag: str) -> None:
        path = tuple(frame.key for frame in self._open[1:])
        super().end(tag)
        before = self._counts.pop()
        if path != self.path and not (self.path is None and path in self._wanted):
            return
        self.path = path
        held = self._open[-1].values.pop(path[-1])
        self.ready.append(held[-1] if isinstance(held, list) else held)
        self._count, self._length = before, 0
        # White space between rows is nothing.
        if self._open[-1].texts and not "".join(self._open[-1].texts).strip():
            self._open[-1].texts.clear()

    def close(self) -> Any:
        self.rest = super().close()
        return self.rest


def _read(file: Spooled, charset: str, rows: _Rows) -> Iterator[Any]:
    parser = etree.XMLParser(
        target=rows,  # type: ignore[arg-type]
        encoding="utf-8",
        resolve_entities="internal",  # type: ignore[arg-type]
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
    )
    try:
        for piece in _utf8(file, charset):
            parser.feed(piece)
            yield from rows.ready
            rows.ready.clear()
        parser.close()
        xml_text._check_namespaces(parser)
    except etree.XMLSyntaxError as error:
        raise xml_text._malformed(error) from None
    yield from rows.ready


def _utf8(file: Spooled, charset: str) -> Iterator[bytes]:
    """The text in UTF-8 without its declaration, whose encoding no longer holds."""
    raw = file.open()
    opening = raw.peek(4)[:4]  # type: ignore[attr-defined]
    if opening[:2] in (b"\xff\xfe", b"\xfe\xff"):
        charset = "utf-16"
    elif opening[:2] in (b"<\0", b"\0<"):
        charset = "utf-16le" if opening[:1] == b"<" else "utf-16be"
    head = raw.read(4096)
    if not charset and (said := xml_text._ENCODING.match(head.removeprefix(codecs.BOM_UTF8))):
        charset = said[1].decode().lower()
    decoder = codecs.getincrementaldecoder(_codec(charset))()
    at, block, first = 0, head, True
    while block or first:
        try:
            text = decoder.decode(block, not block)
        except UnicodeError:
            raise refusal(
                "body_wrong_charset",
                f"The XML is not {charset or 'UTF-8'}: bytes after byte {at} do not belong to it.",
                "Declare the encoding that its bytes are really in.",
            ) from None
        if first and not text.strip():
            raise refusal("body_empty", "The file is empty.", "Send the message as XML.")
        if "\0" in text:
            raise refusal("body_nul", "The XML holds the character NUL.", "Leave NUL out.")
        if first and (declaration := xml_text._DECLARATION.match(text)):
            text = "\n" * declaration[0].count("\n") + text[declaration.end() :]
        yield text.encode("utf-8", "surrogatepass")
        at, first = at + len(block), False
        block = raw.read(65_536)


def _codec(charset: str) -> str:
    codec = "utf-8-sig" if charset in UTF8 else CODECS.get(charset) or WIDE.get(charset)
    if codec is None:
        raise refusal("body_wrong_charset", f"The charset {shown(charset)} is not read.", "Send UTF-8.")
    return codec


__all__ = ["HEAD_LIMIT", "Refusal", "source"]
