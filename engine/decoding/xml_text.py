"""XML 1.0 with namespaces, read strictly into objects; every value stays text.

An element that holds text alone is its text, exactly as it stands; "" when it is empty. Any other is an
object: attributes under `@name`, elements under their names, and text beside them under the declared key
(pieces joined in order; nothing where they are white space alone). Elements that repeat, and those declared
under `lists`, are lists; those under `objects` are always objects. `xsi:nil="true"` is null.

Names are local names after the prefix that the provider file declares for their namespace. `xml:`, `xsi:`
and `soap:` are known; any other namespace keeps its URI, as `{URI}name`. Document types are refused, and so
there are no entities but those of XML itself; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from lxml import etree

from engine.decoding.charsets import UTF8, decoded, wrong_byte
from engine.decoding.refusals import VALUES_LIMIT, refusal, shown, too_many_values
from engine.failures import Refusal
from engine.formats import XmlOptions
from engine.payload_paths import steps

DEPTH_LIMIT = 64
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SOAP = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
_KNOWN = {"http://www.w3.org/XML/1998/namespace": "xml", XSI: "xsi", **dict.fromkeys(SOAP, "soap")}
_NIL = f"{{{XSI}}}nil"
_CHUNK = 65_536
_DECLARATION = re.compile(r"""\s*<\?xml\s[^>]*?\?>""")
_ENCODING = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_DEFAULTS = XmlOptions.model_validate({})


def decode(
    body: bytes,
    charset: str = "",
    options: XmlOptions = _DEFAULTS,
    *,
    values: int = VALUES_LIMIT,
    depth: int = DEPTH_LIMIT,
) -> Any:
    """{name of the root: what it holds}, or what stands within the declared envelope. Raises Refusal."""
    builder = _Builder(options, values, depth)
    source = _utf8(body, charset)
    parser = etree.XMLParser(
        target=builder,  # type: ignore[arg-type]
        encoding="utf-8",
        # False would leave &amp; in attributes as &#38;; a document type, which could declare more, is refused.
        resolve_entities="internal",  # type: ignore[arg-type]
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
    )
    try:
        for at in range(0, len(source), _CHUNK):
            parser.feed(source[at : at + _CHUNK])
        document = parser.close()
        _check_namespaces(parser)
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None
    return _within(document, options.envelope, builder) if options.envelope else document


def _utf8(body: bytes, charset: str) -> bytes:
    """A byte order mark comes first, then Content-Type (RFC 7303), then the XML declaration."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        charset = "utf-16"
    elif body[:2] in (b"<\0", b"\0<"):
        charset = "utf-16le" if body[:1] == b"<" else "utf-16be"
    elif body[:3] == b"\xef\xbb\xbf":
        charset = ""
    elif not charset and (said := _ENCODING.match(body)):
        charset = said[1].decode().lower()
    text = decoded(body, charset if charset not in UTF8 else "", wide=True).removeprefix("\ufeff")
    if not text.strip():
        raise refusal("body_empty", "The body is empty.", "Send the message as XML.")
    if "\0" in text:
        raise refusal("body_nul", "The XML holds the character NUL.", "Leave NUL out.")
    if declaration := _DECLARATION.match(text):
        # It names an encoding that no longer holds; its line breaks keep the places of mistakes true.
        text = "\n" * declaration[0].count("\n") + text[declaration.end() :]
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise wrong_byte(error.start, charset) from None


class _Frame:
    """An element that is open."""

    __slots__ = ("key", "nil", "texts", "values")

    def __init__(self, key: str, values: dict[str, Any], nil: bool) -> None:
        self.key, self.values, self.nil = key, values, nil
        self.texts: list[str] = []


class _Builder:
    """What the parser tells, made objects at once: no tree is ever held beside them."""

    def __init__(self, options: XmlOptions, values: int, depth: int) -> None:
        self._text = options.text
        self._prefixes = _prefixes(options)
        self._lists, self._objects = _by_last(options.lists), _by_last(options.objects)
        self._values, self._depth = values, depth
        self._names: dict[str, str] = {}
        self._open = [_Frame("", {}, False)]
        self._count = 0

    def start(self, tag: str, attributes: Any) -> None:
        self._count += 1 + len(attributes)
        if self._count > self._values:
            raise too_many_values("XML", self._values)
        if len(self._open) > self._depth:
            raise refusal(
                "body_too_deep",
                f"The XML nests deeper than {self._depth} elements.",
                "Flatten the message, or raise limits.depth.",
                limit=self._depth,
            )
        values: dict[str, Any] = {}
        nil = False
        for name, value in attributes.items():
            if name == _NIL:
                nil = value.strip() in ("true", "1")
            else:
                _add(values, "@" + self.name(name), value)
        self._open.append(_Frame(self.name(tag), values, nil))

    def data(self, text: str) -> None:
        self._open[-1].texts.append(text)

    def end(self, tag: str) -> None:
        value = self._value(self._open[-1])
        frame = self._open.pop()
        holder, key = self._open[-1].values, frame.key
        if key not in holder and self._is(self._lists, key, (f.key for f in self._open)):
            holder[key] = [value]
        else:
            _add(holder, key, value)

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise refusal(
            "xml_doctype",
            "The XML has a document type declaration.",
            "Send XML without <!DOCTYPE …>: entities are never read.",
        )

    def close(self) -> dict[str, Any]:
        return self._open[0].values

    def name(self, tag: str) -> str:
        """A name as the provider file writes it."""
        known = self._names.get(tag)
        if known is None:
            known = self._names[tag] = self._named(tag)
        return known

    def _named(self, tag: str) -> str:
        uri, brace, local = tag.removeprefix("{").rpartition("}")
        if not brace:
            return tag
        prefix = self._prefixes.get(uri)
        if prefix is None:
            return tag
        return f"{prefix}:{local}" if prefix else local

    def _value(self, frame: _Frame) -> Any:
        text = "".join(frame.texts)
        values = frame.values
        if not values and not self._is(self._objects, frame.key, (f.key for f in self._open[:-1])):
            return None if frame.nil and not text.strip() else text
        if text and (text.strip() or not self._holds_elements(values)):
            if self._text in values:
                raise refusal(
                    "xml_text_key_taken",
                    f"The element {shown(frame.key)} holds text and an element named {shown(self._text)}.",
                    "Declare another key for text: accept: {xml: {text: …}}.",
                    element=frame.key[:80],
                )
            values[self._text] = text
        return values

    @staticmethod
    def _holds_elements(values: dict[str, Any]) -> bool:
        return any(not key.startswith("@") for key in values)

    @staticmethod
    def _is(declared: dict[str, list[tuple[str, ...]]], key: str, above: Iterable[str]) -> bool:
        if key not in declared:
            return False
        path = (*above, key)
        return any(path[-len(end) :] == end for end in declared[key])


def _add(values: dict[str, Any], key: str, value: Any) -> None:
    """What stands several times becomes a list: no value is one by itself."""
    known = values.get(key)
    if isinstance(known, list):
        known.append(value)
    else:
        values[key] = [known, value] if key in values else value


def _prefixes(options: XmlOptions) -> dict[str, str]:
    found = dict(_KNOWN)
    for prefix, uris in options.namespaces.items():
        found.update(dict.fromkeys((uris,) if isinstance(uris, str) else uris, prefix))
    return found


def _by_last(paths: tuple[str, ...]) -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        if names := steps(path):
            found.setdefault(names[-1], []).append(names)
    return found


def _within(document: Any, envelope: str, builder: _Builder) -> Any:
    if envelope == "soap":
        named = ((builder.name(f"{{{uri}}}Envelope"), builder.name(f"{{{uri}}}Body")) for uri in SOAP)
        path: tuple[str, ...] = next((pair for pair in named if pair[0] in document), ("soap:Envelope", "soap:Body"))
    else:
        path = steps(envelope)
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    if isinstance(document, dict | list):
        return document
    raise refusal(
        "xml_envelope_missing",
        f"The XML has nothing at {'.'.join(path)}.",
        "Send the message in that envelope, or correct accept: {xml: {envelope: …}}.",
        envelope=envelope,
    )


def _check_namespaces(parser: etree.XMLParser) -> None:
    """A prefix that nothing declares is no error to the parser, and would vanish."""
    for entry in parser.feed_error_log:
        if entry.domain == etree.ErrorDomains.NAMESPACE:
            raise refusal(
                "body_not_xml",
                f"The body is not XML: {entry.message[:200]}, at line {entry.line} column {entry.column}.",
                "Declare the prefix at the sender (xmlns:…).",
                line=entry.line,
                column=entry.column,
            )


def _malformed(error: etree.XMLSyntaxError) -> Refusal:
    line, column = error.position
    reason = (error.msg or "it ends early").split(", line ")[0]
    return refusal(
        "body_not_xml",
        f"The body is not XML: {reason[:200]}, at line {line} column {column}.",
        "Mend the XML at the sender.",
        line=line,
        column=column,
    )
