"""The diagnostics of the checker, each with advice, an example file that shows it and the file mended."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE_NAME = "corner.yaml"
STRETCHED = "…"
"""In an example: so many characters as `stretch` says."""

_FILE = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: official
auth: {scheme: token, header: X-Key, secret: key}
"""
_FEED = """\
scope: {store: shop}
idempotency: {event_id: [id]}
"""
_RULE = """\
command: UpdateStockLevel
each: items
fields: {item_id: id, quantity: qty}
"""
_INDENT = {"feed": 4, "rule": 8}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One code.

    `example` is the mistake alone, `fixed` the same without it, "" where no text can show it; `file` and
    `fixed_file` are whole files with them, or for `at` overrides the overrides of a connection. `line` and
    `column` say where in the example the checker points. `samples` are payloads of the feed `stock`, None where
    the example needs none.
    """

    code: str
    severity: str
    says: str
    advice: str
    at: str
    example: str
    fixed: str
    line: int
    column: int
    file: str
    fixed_file: str
    samples: tuple[Any, ...] | None

    @property
    def place(self) -> tuple[int, int]:
        """Line and column in `file`."""
        if self.at not in ("file", "feed", "rule"):
            return self.line, self.column
        lines, indent = self.example.splitlines(), _INDENT.get(self.at, 0)
        begin = max(n for n in range(self.line) if not lines[n].startswith((" ", "#")))
        first = " " * indent + lines[begin]
        return _file(self.at, self.example).splitlines().index(first) + self.line - begin, self.column + indent


def diagnostics() -> list[Diagnostic]:
    """All of them, in the order of the page."""
    entries = yaml.safe_load(Path(__file__).with_name("diagnostics.yaml").read_text())
    return [_diagnostic(entry) for entry in entries]


def _diagnostic(entry: Mapping[str, Any]) -> Diagnostic:
    at, example, fixed = entry["at"], entry.get("example", ""), entry.get("fixed", "")
    line, _, column = str(entry.get("place", "0:0")).partition(":")
    stretched = "x" * entry.get("stretch", 0)
    return Diagnostic(
        entry["code"],
        entry.get("severity", "error"),
        entry["says"],
        entry.get("advice", ""),
        at,
        example,
        fixed,
        int(line),
        int(column),
        _file(at, example).replace(STRETCHED, stretched) if stretched else _file(at, example),
        _file(at, fixed),
        tuple(entry["samples"]) if "samples" in entry else None,
    )


def base_files(name: str) -> str | None:
    """What examples extend: `till` at revision 3, and `deep-1`, `deep-2` … each of which extends the next."""
    if name == "till":
        return whole_file().replace("provider: corner", "provider: till").replace("revision: 1", "revision: 3")
    if found := re.fullmatch(r"deep-(\d)", name):
        return f"spec: tiffin/v1\nprovider: {name}\nrevision: 1\nextends: deep-{int(found[1]) + 1}@1\n"
    return None


def whole_file() -> str:
    """A file without a mistake."""
    return _file("file", "")


def _file(at: str, example: str) -> str:
    if at not in ("file", "feed", "rule"):
        return example
    rule = _with(_RULE, example if at == "rule" else "")
    feed = _with(f"{_FEED}commands:\n  stock:\n{textwrap.indent(rule, '    ')}", example if at == "feed" else "")
    return _with(f"{_FILE}feeds:\n  stock:\n{textwrap.indent(feed, '    ')}", example if at == "file" else "")


def _with(base: str, change: str) -> str:
    """The base with the blocks of its keys that the change has, too, replaced."""
    blocks = _blocks(base) | _blocks(change)
    return "".join(blocks.values())


def _blocks(text: str) -> dict[str, str]:
    found = re.findall(r"^(\S[^:\n]*:.*\n(?:(?:[ \t].*|---.*)\n|spec: tiffin/v1\n(?=\Z))*)", text, re.MULTILINE)
    return {block.split(":", 1)[0]: block for block in found}
