"""A document as XML: the way back from what engine.decoding.xml_text makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from engine.decoding.xml_text import SOAP, XSI
from engine.formats import XmlOptions

_KNOWN = {"xml": "http://www.w3.org/XML/1998/namespace", "xsi": XSI, "soap": SOAP[0]}


def written(document: Any, options: XmlOptions) -> str:
    """The text of a document with one root. Raises ValueError and TypeError where it cannot be written."""
    writer = _Writer(options)
    ((name, value),) = document.items()
    root = writer.element(None, name, value)
    if options.envelope == "soap":
        envelope = etree.Element(f"{{{SOAP[0]}}}Envelope", nsmap={"soap": SOAP[0]})
        etree.SubElement(envelope, f"{{{SOAP[0]}}}Body").append(root)
        root = envelope
    elif options.envelope:
        raise ValueError("an envelope of the provider's own is not made up")
    return etree.tostring(root, encoding="unicode")


class _Writer:
    def __init__(self, options: XmlOptions) -> None:
        self._text = options.text
        self._lists = {path.rpartition(".")[2] for path in options.lists}
        given = {p: uri if isinstance(uri, str) else uri[0] for p, uri in options.namespaces.items()}
        self._uris: Mapping[str, str] = {**_KNOWN, **given}
        self._prefixes = {prefix or None: uri for prefix, uri in given.items()}

    def element(self, parent: Any, name: str, value: Any) -> Any:
        tag = self._tag(name)
        if parent is None:
            made = etree.Element(tag, nsmap=self._prefixes)  # type: ignore[arg-type]
        else:
            made = etree.SubElement(parent, tag)
        if value is None:
            made.set(f"{{{XSI}}}nil", "true")
        elif isinstance(value, dict):
            self._fill(made, value)
        else:
            made.text = value
        return made

    def _fill(self, made: Any, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name == self._text:
                made.text = value
            elif name.startswith("@"):
                made.set(self._tag(name[1:], attribute=True), value)
            elif isinstance(value, list):
                # An element that stands alone is a list only where the file says so.
                again = 2 if len(value) == 1 and name not in self._lists else 1
                for one in value * again:
                    self.element(made, name, one)
            else:
                self.element(made, name, value)

    def _tag(self, name: str, *, attribute: bool = False) -> str:
        if name.startswith("{"):
            return name
        prefix, colon, local = name.rpartition(":")
        uri = self._uris[prefix] if colon else "" if attribute else self._uris.get("", "")
        return f"{{{uri}}}{local}" if uri else local
