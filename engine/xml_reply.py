"""XML replies, made of elements and never of text: nothing that was sent can become markup.

A mapping is an element's children and attributes: `name: value` a child, `@name` an attribute, `#text` its
own text, `@xmlns` and `@xmlns:p` its namespaces. A list is an element that stands several times; null is an
empty one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

# The characters that XML 1.0 has no way to write, §2.2.
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Namespaces = Mapping[str | None, str]


def xml_bytes(tree: Any) -> bytes:
    """A document with its declaration, in UTF-8. Raises ValueError for what is no name, or not one root."""
    if not isinstance(tree, Mapping) or len(tree) != 1:
        raise ValueError("an XML document has one root element")
    ((name, value),) = tree.items()
    if isinstance(value, list):
        raise ValueError("an XML document has one root element")
    made: bytes = etree.tostring(_element(None, name, value, {}), xml_declaration=True, encoding="UTF-8")
    return made


def _element(parent: etree._Element | None, name: str, value: Any, outer: Namespaces) -> etree._Element:
    inside = value if isinstance(value, Mapping) else {"#text": value}
    own = {_prefix(key): _text(uri) for key, uri in inside.items() if key == "@xmlns" or key.startswith("@xmlns:")}
    scope = {**outer, **own}
    tag = _qualified(name, scope, None)
    nsmap: Any = own or None
    element = etree.Element(tag, nsmap=nsmap) if parent is None else etree.SubElement(parent, tag, nsmap=nsmap)
    for key, inner in inside.items():
        if key == "#text":
            element.text = _text(inner)
        elif key.startswith("@") and _prefix(key) not in own:
            element.set(_qualified(key[1:], scope, ""), _text(inner))
        elif not key.startswith("@"):
            for one in inner if isinstance(inner, list) else (inner,):
                _element(element, key, one, scope)
    return element


def _prefix(key: str) -> str | None:
    return key[len("@xmlns:") :] or None


def _qualified(name: str, scope: Namespaces, without: str | None) -> str:
    """`p:name` with its namespace; a bare name with the default one, which attributes do not have."""
    prefix, colon, local = name.rpartition(":")
    if not colon:
        uri = scope.get(None, "") if without is None else without
    elif prefix in scope:
        uri = scope[prefix]
    else:
        raise ValueError(f"the prefix of {name} has no namespace")
    return f"{{{uri}}}{local}" if uri else local


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        raise ValueError("an attribute or a text is one value")
    return "" if value is None else _NO_CHARACTER.sub("\ufffd", str(value))
