"""The diagnostics of the checker, each with a sentence and an example file that shows it."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import yaml

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


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """`example` is the mistake alone, "" where only a long file shows it; `file` the whole file with it."""

    code: str
    severity: str
    says: str
    example: str
    file: str


def diagnostics() -> list[Diagnostic]:
    """All of them, in the order of the page."""
    entries = yaml.safe_load(Path(__file__).with_name("diagnostics.yaml").read_text())
    return [
        Diagnostic(
            entry["code"],
            entry.get("severity", "error"),
            entry["says"],
            entry.get("example", ""),
            _file(entry["at"], entry.get("example", "")),
        )
        for entry in entries
    ]


def _file(at: str, example: str) -> str:
    if at in ("text", "none"):
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
