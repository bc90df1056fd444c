"""A document written out again as YAML, one value a line, and where each line comes from.

The text alone is a provider file: what it says needs no other file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from engine.places import Place
from engine.yaml12 import Document, Path, is_text, survey


class Line(NamedTuple):
    """A line of a resolved text, and the place that it comes from."""

    text: str
    origin: Place


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def check_simple_key(self) -> bool:
        # PyYAML writes an empty key over two lines, as `? ''`.
        empty = isinstance(self.event, yaml.ScalarEvent) and self.event.value == ""
        return empty or bool(super().check_simple_key())

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value.rstrip("\n") else None if is_text(value) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(value), style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(str, _text)


def resolved_text(document: Document) -> str:
    """The document's data as YAML that reads back equal. Expressions keep their text, comments are gone."""
    return yaml.dump(
        document.data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1_000_000
    )


def lines_with_origin(document: Document, text: str) -> list[Line]:
    """The lines of the document's resolved text, each with where its key or element stands in the files."""
    starts: dict[int, Path] = {}
    again = survey(text, document.file)
    for places in (again.keys, again.values):
        for path, place in places.items():
            known = starts.get(place.line)
            # Of what stands on one line, the innermost is what the line is about: `- scheme: token`.
            if path and (known is None or len(path) > len(known)):
                starts[place.line] = path
    return list(_lines(document, text, starts))


def _lines(document: Document, text: str, starts: dict[int, Path]) -> Iterator[Line]:
    path: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        path = starts.get(number, path)
        yield Line(line, document.place_of(path, key=bool(path) and isinstance(path[-1], str)))
