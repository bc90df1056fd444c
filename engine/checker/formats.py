"""What `accept` says that no decoder can follow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from engine.checker.sites import Context
from engine.decoding.charsets import CODECS, UTF8, WIDE
from engine.formats import DelimitedOptions, LoopOptions, Options, X12Options
from engine.problems import Problem

_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{1,2}\Z")


def formats(context: Context) -> Iterator[Problem]:
    """`format_twice`, `charset_unknown` and `segment_name`."""
    for name, feed in context.provider.feeds.items():
        path = ("feeds", name, "accept")
        if context.touched(path):
            continue
        place = context.place(path)
        named = [one if isinstance(one, str) else next(iter(type(one).model_fields)) for one in feed.accept]
        for twice in sorted({one for one in named if named.count(one) > 1}):
            yield Problem(place, "format_twice", f"{twice} is accepted twice", "keep one of them")
        for options in feed.formats.values():
            yield from (Problem(place, *found) for found in _wrong(options))


def _wrong(options: Options | None) -> Iterator[tuple[str, str, str]]:
    """(code, message, hint)."""
    if isinstance(options, DelimitedOptions) and options.charset is not None:
        known = sorted({*CODECS, *WIDE, *UTF8} - {""})
        if options.charset.lower() not in known:
            yield "charset_unknown", f"the charset {options.charset!r} is not read", f"one of {', '.join(known)}"
    if isinstance(options, X12Options):
        for name in sorted({*_segments(options.loops), *options.summary, *options.qualifiers}):
            if not _SEGMENT.match(name):
                yield "segment_name", f"{name!r} names no X12 segment", "two or three capitals and digits, such as W07"


def _segments(loops: Mapping[str, LoopOptions]) -> Iterator[str]:
    for name, loop in loops.items():
        yield name
        yield from loop.segments or ()
        yield from _segments(loop.loops)
