"""Bodies of replies: literal documents with the values of expressions put in.

What cannot be written as the file says is Unrenderable: it is for whoever asked to answer something else.
Controls in a text could end a line of a log or of a terminal, so a text reply refuses them; JSON escapes
them; XML, which has no way to write them, has U+FFFD instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import orjson

from engine.compiler import compile_values
from engine.jsonata import EngineName, JsonataError, Limits, Program
from engine.model import Expression, Rendered, ReplySpec

JSON = ("content-type", "application/json")
PLAIN = ("content-type", "text/plain; charset=utf-8")
XML = ("content-type", "application/xml; charset=utf-8")

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_ABSENT = object()

Typed = tuple[tuple[str, str], bytes]
"""A body with its Content-Type."""


class Unrenderable(Exception):
    """An expression failed, or made what this body cannot hold."""


class Body:
    """The body of one reply, compiled."""

    def __init__(self, spec: ReplySpec, engine: EngineName) -> None:
        self._spec = spec
        self._template: Any = next((v for v in (spec.json_, spec.text, spec.xml) if v is not None), None)
        found = {f"r{n}": expression for n, expression in enumerate(expressions(self._template))}
        self.program = Program(compile_values({}, found).text, engine) if found else None

    def uses(self, name: str) -> bool:
        """Whether an expression mentions the variable `$name`."""
        return self.program is not None and f"${name}" in self.program.text

    @property
    def binds(self) -> bool:
        """Whether it is computed from what is handed in."""
        return self.program is not None and self.program.binds

    def write(self, document: Any, bindings: dict[str, Any], limits: Limits | None = None) -> Typed | None:
        """None where the file names no body. Raises Unrenderable."""
        if self._template is None:
            return None
        try:
            value = self._value(document, bindings, limits)
            if self._spec.text is not None:
                return PLAIN, _text(value).encode()
            if self._spec.xml is not None:
                return XML, _xml(value)
            return JSON, orjson.dumps(None if value is _ABSENT else value)
        except (JsonataError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unrenderable(str(error)) from None

    def _value(self, document: Any, bindings: dict[str, Any], limits: Limits | None) -> Any:
        if self.program is None:
            return plain(self._template)
        values = self.program.evaluate(document, bindings, limits) or {}
        made = (whole(values[key]) if (key := f"r{n}") in values else _ABSENT for n in count())
        return _filled(self._template, made)


def expressions(template: Any) -> Iterator[Expression]:
    """Those of a template, from its beginning to its end."""
    if isinstance(template, Rendered):
        yield template.expr
    elif isinstance(template, Mapping):
        for inner in template.values():
            yield from expressions(inner)
    elif isinstance(template, list | tuple):
        for inner in template:
            yield from expressions(inner)


def _filled(template: Any, made: Iterator[Any]) -> Any:
    """The template with values for its expressions, in order; a part without a value is left out."""
    if isinstance(template, Rendered):
        return next(made)
    if isinstance(template, Mapping):
        found = ((str(key), _filled(inner, made)) for key, inner in template.items())
        return {key: value for key, value in found if value is not _ABSENT}
    if isinstance(template, list | tuple):
        return [value for inner in template if (value := _filled(inner, made)) is not _ABSENT]
    return plain(template)


def _text(value: Any) -> str:
    if value is _ABSENT or value is None:
        raise Unrenderable("the text has no value")
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if _CONTROLS.search(text):
        raise Unrenderable("the text holds control characters")
    return text


def _xml(tree: Any) -> bytes:
    # Loaded where a reply is XML: few files have one, and the library is large.
    from engine.xml_reply import xml_bytes

    return xml_bytes(tree)


def whole(value: Any) -> Any:
    """Whole numbers without a fraction, as the expression wrote them."""
    if value.__class__ is float and value == int(value):
        return int(value)
    if value.__class__ is list:
        return [whole(inner) for inner in value]
    if value.__class__ is dict:
        return {key: whole(inner) for key, inner in value.items()}
    return value


def plain(value: Any) -> Any:
    """A literal of the provider file as JSON has it."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
