"""X12 interchanges (ANSI ASC X12.5 and X12.6), read into objects; every value stays text.

    {"ISA": {ISA01 … ISA16}, "GS": [{GS01 …, "ST": [{ST01 …, "BIA": [{BIA01 …}], "LIN": [{LIN03 …}]}]}]}

An element is keyed as the standard names it, segment and two digits: `BIA02`. An empty one is absent; one
that repeats is a list; one of several components stands whole, and each component beside it as `SV101_1`.
The segments of one name are a list, also of one. A declared loop is the object of the segment that opens
it, with the lists of the segments and loops within. Under `by` stand the values that follow the declared
qualifiers. The separators are those of the ISA segment; SE, GE and IEA are checked and left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from engine.decoding.charsets import text
from engine.decoding.refusals import VALUES_LIMIT, refusal, shown, too_many_values
from engine.failures import Refusal
from engine.formats import LoopOptions, X12Options

ISA_LENGTH = 106
_WIDTHS = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
_NAME = re.compile(r"[A-Z][A-Z0-9]{1,2}\Z")
_DEFAULTS = X12Options.model_validate({})
_MEND = "Mend the interchange at the sender, and send it whole."


class Separators(NamedTuple):
    """What stands between elements, repetitions ("" where there are none), components and segments."""

    element: str
    repetition: str
    component: str
    segment: str


class Segment(NamedTuple):
    """A segment and its number in the interchange, from 1; `elements` begins with the first element."""

    name: str
    number: int
    elements: list[str]

    def at(self, position: int) -> str:
        """The element at a position from 1, "" where there is none."""
        return self.elements[position - 1] if position <= len(self.elements) else ""


def decode(
    body: bytes, charset: str = "", options: X12Options = _DEFAULTS, *, values: int = VALUES_LIMIT
) -> dict[str, Any]:
    """The one interchange of a body. Raises Refusal."""
    source = text(body, charset).lstrip()
    if not source:
        raise refusal("body_empty", "The body is empty.", "Send one interchange, from ISA to IEA.")
    if "\0" in source:
        raise refusal("body_nul", "The interchange holds the character NUL.", "Leave NUL out.")
    separators = separators_of(source)
    if source.count(separators.element) + source.count(separators.segment) > values:
        raise too_many_values("interchange", values)
    return _Reader(segments(source, separators), separators, options).interchange()


def separators_of(source: str) -> Separators:
    """The separators that the ISA segment, of fixed width, declares. Raises Refusal `x12_no_envelope`."""
    head = source[:ISA_LENGTH]
    element = head[3:4]
    parts = head[: ISA_LENGTH - 1].split(element) if element else []
    if not head.startswith("ISA") or len(head) < ISA_LENGTH or tuple(map(len, parts[1:])) != _WIDTHS:
        raise refusal(
            "x12_no_envelope",
            f"The body does not begin with an ISA segment of {ISA_LENGTH} characters.",
            "Send the interchange from its ISA segment on, with every element of ISA padded to its width.",
            segment="ISA",
        )
    repetition = parts[11] if parts[12] >= "00402" and not parts[11].isalnum() and parts[11] != " " else ""
    found = Separators(element, repetition, parts[16], head[ISA_LENGTH - 1])
    used = [one for one in found if one]
    if len(set(used)) < len(used) or any(one.isalnum() or one in " -.\0" for one in used):
        raise refusal(
            "x12_separators",
            f"The separators of the ISA segment are {' '.join(map(repr, used))}; they must differ from each other "
            "and from what texts hold.",
            "Declare separators that stand in no text, such as * ^ > ~.",
            segment="ISA",
        )
    return found


def segments(source: str, separators: Separators) -> Iterator[Segment]:
    """The segments in order; line breaks between them are no part of them. Raises Refusal."""
    start = number = 0
    end = source.find(separators.segment, ISA_LENGTH - 1)
    while end >= 0:
        written, start, end = source[start:end].lstrip("\r\n"), end + 1, source.find(separators.segment, end + 1)
        if not written and separators.segment in "\r\n":
            continue
        number += 1
        name, *elements = written.rstrip("\r").split(separators.element)
        if not _NAME.match(name):
            raise refusal(
                "x12_segment_malformed",
                f"Segment {number} begins with {shown(name)}, which names no segment.",
                _MEND,
                segment=name[:80],
                number=number,
            )
        yield Segment(name, number, elements)
    if source[start:].strip():
        raise refusal(
            "x12_segment_unterminated",
            f"The interchange ends within segment {number + 1}, {shown(source[start:].strip()[:20])}.",
            _MEND,
            segment=source[start:].strip()[:3],
            number=number + 1,
        )


class _Open(NamedTuple):
    """A loop that is open: the object that takes its segments, and what may stand in it."""

    values: dict[str, Any]
    loops: Mapping[str, LoopOptions]
    members: tuple[str, ...] | None


class _Reader:
    def __init__(self, found: Iterator[Segment], separators: Separators, options: X12Options) -> None:
        self._found = found
        self._repetition, self._component = separators.repetition, separators.component
        self._options = options
        self._known_keys: dict[str, list[str]] = {}
        self._last = 0

    def interchange(self) -> dict[str, Any]:
        head = self._next("IEA")
        document: dict[str, Any] = {"ISA": {k: v.rstrip() for k, v in self._elements(head).items() if v.strip()}}
        groups: list[dict[str, Any]] = []
        while (segment := self._next("IEA")).name != "IEA":
            if segment.name == "GS":
                groups.append(self._group(segment))
            elif segment.name == "TA1":
                document.setdefault("TA1", []).append(self._elements(segment))
            else:
                raise _misplaced(segment, "GS or IEA")
        self._check(segment, "ISA", head.at(13), len(groups), "groups")
        for extra in self._found:
            raise refusal(
                "x12_several_interchanges",
                f"Segment {extra.number}, {extra.name}, follows the interchange's end.",
                "Send one interchange in a message.",
                segment=extra.name,
                number=extra.number,
            )
        document["GS"] = groups
        return document

    def _group(self, head: Segment) -> dict[str, Any]:
        group: dict[str, Any] = self._elements(head)
        sets: list[dict[str, Any]] = []
        while (segment := self._next("GE")).name != "GE":
            if segment.name != "ST":
                raise _misplaced(segment, "ST or GE")
            sets.append(self._transaction(segment))
        self._check(segment, "GS", head.at(6), len(sets), "transaction sets")
        group["ST"] = sets
        return group

    def _transaction(self, head: Segment) -> dict[str, Any]:
        made = self._elements(head)
        whole = _Open(made, self._options.loops, None)
        opened = [whole]
        ended: tuple[Segment, frozenset[str]] | None = None
        while (segment := self._next("SE")).name != "SE":
            if segment.name in ("ISA", "IEA", "GS", "GE", "ST"):
                raise _misplaced(segment, "SE")
            if ended and segment.name in ended[1]:
                raise _out_of_loop(segment, ended[0])
            before = opened
            opened = self._placed(segment, opened)
            if len(opened) < len(before) and not self._begins(segment, opened) and not self._is_summary(segment):
                ended = segment, frozenset(name for one in before[len(opened) :] for name in one.members or ())
            elif self._begins(segment, opened):
                ended = None
        self._check(segment, "ST", head.at(2), segment.number - head.number + 1, "segments")
        return made

    def _placed(self, segment: Segment, opened: list[_Open]) -> list[_Open]:
        """Puts a segment where it belongs; the loops that are open then, the transaction set first."""
        level = 0 if self._is_summary(segment) else len(opened) - 1
        while level > 0 and not _takes(opened[level], segment.name, opened[:level]):
            level -= 1
        opened = opened[: level + 1]
        values = self._elements(segment)
        opened[-1].values.setdefault(segment.name, []).append(values)
        loop = opened[-1].loops.get(segment.name)
        return opened if loop is None else [*opened, _Open(values, loop.loops, loop.segments)]

    def _begins(self, segment: Segment, opened: list[_Open]) -> bool:
        return len(opened) > 1 and segment.name in opened[-2].loops

    def _is_summary(self, segment: Segment) -> bool:
        return segment.name in self._options.summary

    def _next(self, end: str) -> Segment:
        segment = next(self._found, None)
        if segment is None:
            raise refusal(
                "x12_envelope_open",
                f"The interchange ends after segment {self._last} without {end}.",
                _MEND,
                segment=end,
                number=self._last,
            )
        self._last = segment.number
        return segment

    def _check(self, trailer: Segment, head: str, control: str, count: int, what: str) -> None:
        """A trailer repeats its header's control number, and counts what stood between (X12.5, X12.6)."""
        if _number(trailer.at(1)) != count:
            raise refusal(
                "x12_count_wrong",
                f"Segment {trailer.number}, {trailer.name}, counts {shown(trailer.at(1))} {what}; there are {count}.",
                _MEND,
                segment=trailer.name,
                number=trailer.number,
                counted=count,
            )
        if trailer.at(2).strip() != control.strip():
            raise refusal(
                "x12_control_number_differs",
                f"Segment {trailer.number}, {trailer.name}, has the control number {shown(trailer.at(2))}, and {head} "
                f"{shown(control)}.",
                _MEND,
                segment=trailer.name,
                number=trailer.number,
            )

    def _elements(self, segment: Segment) -> dict[str, Any]:
        name, _, elements = segment
        found: dict[str, Any] = {}
        for key, written in zip(self._keys(name, len(elements)), elements, strict=False):
            if written:
                found[key] = written
                if name != "ISA" and (self._component in written or (self._repetition and self._repetition in written)):
                    self._divide(found, key, written)
        if name != "ISA" and (qualifiers := self._options.qualifiers.get(name)):
            found["by"] = _by_qualifier(elements, qualifiers)
        return found

    def _keys(self, name: str, count: int) -> list[str]:
        """One text for each key: there are many segments, and few names."""
        keys = self._known_keys.setdefault(name, [])
        while len(keys) < count:
            keys.append(f"{name}{len(keys) + 1:02d}")
        return keys

    def _divide(self, found: dict[str, Any], key: str, written: str) -> None:
        if self._repetition and self._repetition in written:
            found[key] = written.split(self._repetition)
            return
        for n, part in enumerate(written.split(self._component), start=1):
            if part:
                found[f"{key}_{n}"] = part


def _takes(one: _Open, name: str, outer: list[_Open]) -> bool:
    """Whether a segment may stand in an open loop: it is named there, or nothing says that it is not."""
    if name in one.loops:
        return True
    if one.members is not None:
        return name in one.members
    return not any(name in above.loops for above in outer)


def _by_qualifier(elements: list[str], qualifiers: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(elements) - 1:
        if elements[at] in qualifiers and elements[at + 1]:
            found.setdefault(elements[at], elements[at + 1])
            at += 2
        else:
            at += 1
    return found


def _number(written: str) -> int | None:
    digits = written.strip()
    return int(digits) if 0 < len(digits) <= 10 and digits.isascii() and digits.isdigit() else None


def _misplaced(segment: Segment, expected: str) -> Refusal:
    return refusal(
        "x12_segment_misplaced",
        f"Segment {segment.number} is {segment.name}, where {expected} is expected.",
        _MEND,
        segment=segment.name,
        number=segment.number,
    )


def _out_of_loop(segment: Segment, ended: Segment) -> Refusal:
    return refusal(
        "x12_segment_out_of_loop",
        f"Segment {segment.number}, {segment.name}, is of a loop that segment {ended.number}, {ended.name}, ended.",
        f"Name {ended.name} among the loop's segments in the provider file, or under summary.",
        segment=segment.name,
        number=segment.number,
    )
