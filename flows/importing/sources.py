"""Which reader a file gets, and which of its lists are the rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from engine.decoding.media_types import MEDIA_TYPES, Headers
from engine.decoding.refusals import refusal
from engine.failures import Failure, Refusal
from engine.interpreter import Interpreter
from engine.model import Rule
from flows.importing import json_lists, text_files
from flows.importing.rows import Source, Spooled

EXPANDED_TIMES = 12
"""A compressed file, a workbook or a Parquet file may expand to so many times the bytes that a file may have."""
TABLES = ("csv", "tsv", "xlsx", "ndjson")
FORMATS = ("json", "ndjson", "csv", "tsv", "xlsx", "xml", "parquet")
PARQUET = "application/vnd.apache.parquet"
_SUFFIXES = {"json": "json", "ndjson": "ndjson", "jsonl": "ndjson", "csv": "csv", "tsv": "tsv", "tab": "tsv",
             "xlsx": "xlsx", "xml": "xml", "parquet": "parquet", "pq": "parquet"}  # fmt: skip
_STEPS = re.compile(r"(?:\$\$?\.)?((?:`[^`]+`|[A-Za-z_]\w*)(?:\.(?:`[^`]+`|[A-Za-z_]\w*))*)")


def formats_of(interpreter: Interpreter, feed: str) -> tuple[str, ...]:
    """The formats that a feed's files may have. One that reads any kind of table reads Parquet too: rows are rows."""
    accepted = [name for name in interpreter.feeds[feed].feed.formats if name in FORMATS]
    return (*accepted, *(["parquet"] if any(name in TABLES for name in accepted) else []))


def format_named(name: str) -> tuple[str, bool]:
    """(format, whether it is gzip) by a file's name; "" where the name does not say."""
    stem, gzip = (name[:-3], True) if name.lower().endswith(".gz") else (name, False)
    return _SUFFIXES.get(stem.rpartition(".")[2].lower(), ""), gzip


def format_said(headers: Headers) -> str:
    """The format that Content-Type names, "" where it names none of a file."""
    if headers.media_type == PARQUET:
        return "parquet"
    known = MEDIA_TYPES.get(headers.media_type, "")
    return known if known in FORMATS else ""


def obstacle(interpreter: Interpreter, feed: str) -> Failure | None:
    """Why a feed's messages cannot be taken apart into rows; None where they can."""
    if interpreter.asks(feed) or interpreter.feeds[feed].feed.issue is not None:
        return _impossible("it is no delivery")
    for name, rule in _rules(interpreter, feed):
        if rule.each is None:
            return _impossible(f"the rule {name} has no each: it reads the message as a whole")
        if rule.snapshot is not None or rule.emit == "changed":
            return _impossible(f"the rule {name} compares the message as a whole with the last one")
    return None


def _impossible(why: str) -> Failure:
    return Failure(
        "processing",
        "import_impossible",
        f"The feed cannot be imported row by row: {why}.",
        "Send it as a webhook, or give large files a feed of their own.",
    )


def _rules(interpreter: Interpreter, feed: str) -> Iterator[tuple[str, Rule]]:
    compiled = interpreter.feeds[feed]
    branches = (compiled.plain, *compiled.events.values())
    return chain.from_iterable(branch.rules.items() for branch in branches)


def list_paths(interpreter: Interpreter, feed: str) -> tuple[tuple[str, ...], ...]:
    """The paths that the rules' each begin with, in order."""
    found: dict[tuple[str, ...], None] = {}
    for _, rule in _rules(interpreter, feed):
        text = rule.each.text.strip() if rule.each else ""
        if text in ("$", "$$"):
            found[()] = None
        elif steps := _STEPS.match(text):
            found[tuple(step.strip("`") for step in re.findall(r"`[^`]+`|\w+", steps[1]))] = None
    return tuple(found)


def source_of(file: Spooled, format: str, charset: str, interpreter: Interpreter, feed: str, expanded: int) -> Source:
    """The rows of a file. Raises Refusal."""
    options = interpreter.feeds[feed].feed.formats.get(format)
    if format not in formats_of(interpreter, feed):
        raise _unsupported(format, formats_of(interpreter, feed))
    if format in ("csv", "tsv"):
        return text_files.table(file, charset, options)  # type: ignore[arg-type]
    if format == "ndjson":
        return text_files.ndjson(file, charset)
    if format == "json":
        return json_lists.source(file, charset, list_paths(interpreter, feed))
    if format == "xml":
        from flows.importing import xml_lists

        depth = interpreter.feeds[feed].feed.limits.depth
        return xml_lists.source(file, charset, options, list_paths(interpreter, feed), depth)  # type: ignore[arg-type]
    from flows.importing import books

    return books.workbook(file, options, expanded) if format == "xlsx" else books.parquet(file, expanded)  # type: ignore[arg-type]


def _unsupported(format: str, accepted: tuple[str, ...]) -> Refusal:
    return refusal(
        "content_type_unsupported",
        f"The feed takes no {format or 'file of an unknown format'}; it takes {', '.join(accepted)}.",
        "Send the file in one of them, and say so in Content-Type or by the file's name.",
        accepted=list(accepted),
    )
