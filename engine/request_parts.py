"""The parts of a request that authentication reads: one value each, as bytes.

PartError
├── Repeated     the part stands in the request more than once, so two readers may read it differently
└── BodyUnread   the body is not the JSON or the form that the part is said to stand in
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Literal

from engine.decoding.form import pairs
from engine.failures import Refusal
from engine.messages import Request
from engine.source_text import JsonSource

Where = Literal["header", "query", "form", "body", "signature"]


class PartError(Exception):
    """A part that cannot be read. Its sentence names the part and never its value."""


class Repeated(PartError):
    pass


class BodyUnread(PartError):
    pass


class RequestParts:
    """A request's values by where they stand. What needs parsing is parsed once, when first asked for."""

    def __init__(self, request: Request, json: JsonSource | None = None) -> None:
        self.request = request
        if json is not None:
            self.json = json

    def elements(self, path: str) -> list[RequestParts]:
        """The request once for each element of a list in its JSON body, whose paths then begin there."""
        return [RequestParts(self.request, element) for element in self.json.elements(path)]

    def value(self, where: Where, name: str) -> bytes | None:
        """The value of a header, query parameter, form field or body path; None where there is none."""
        if where == "body":
            return self.json.text(name)
        if where == "header":
            found = self._headers(name)
        else:
            fields = self.form if where == "form" else self.request.query
            found = [_bytes(value) for known, value in fields if known == name]
        if len(found) > 1:
            raise Repeated(f"The {_WORDS[where]} {name} stands in the request {len(found)} times.")
        return found[0] if found else None

    def _headers(self, name: str) -> list[bytes]:
        wanted = _wire_name(name)
        return [value.strip(b" \t") for known, value in self.request.headers if known == wanted]

    @cached_property
    def json(self) -> JsonSource:
        try:
            return JsonSource(self.request.body)
        except Refusal as refused:
            raise BodyUnread(f"The body cannot be read as JSON: {refused.failure.code}.") from None

    @cached_property
    def form(self) -> list[tuple[str, str]]:
        try:
            return pairs(self.request.body)
        except Refusal as refused:
            raise BodyUnread(f"The body cannot be read as a form: {refused.failure.code}.") from None


_WORDS = {"header": "header", "query": "query parameter", "form": "form field", "body": "body path"}


def described(where: str, name: str) -> str:
    """A part as a sentence names it: `header x-signature`."""
    return f"{_WORDS.get(where, where)} {name}"


@lru_cache(1024)
def _wire_name(name: str) -> bytes:
    return name.lower().encode("latin-1", "replace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
