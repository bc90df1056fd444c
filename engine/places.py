"""Where a piece of a provider file stands: every scalar knows its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a provider file. Line and column count from 1, in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Scalar(str):
    """A YAML scalar read as text, which remembers where it stands.

    `raw` is the source text of the scalar, quotes and indentation included; `start` is the place of
    raw's first character; `where` is the dotted path of the value in the file
    (`feeds.menu.commands.items.fields.price`). Two scalars are equal when their texts are.
    """

    raw: str
    start: Place
    where: str

    def __new__(cls, text: str, raw: str, start: Place, where: str) -> Scalar:
        self = super().__new__(cls, text)
        self.raw, self.start, self.where = raw, start, where
        return self

    def place(self, offset: int = 0) -> Place:
        """The place of the character of the text at `offset` (counted in characters).

        Plain, quoted, folded and literal scalars change white space and escapes only, so the n-th
        visible character of the text is the n-th visible character of its source. Past the last visible
        character it is the place just after that.
        """
        at = _source_offset(self.raw, sum(not c.isspace() for c in self[:offset]))
        head = self.raw[:at]
        if "\n" not in head:
            return Place(self.start.file, self.start.line, self.start.column + at)
        return Place(self.start.file, self.start.line + head.count("\n"), at - head.rfind("\n"))


def _source_offset(raw: str, seen: int) -> int:
    at, after = _body_start(raw), _body_start(raw)
    end = len(raw) - (raw[:1] in ("'", '"') and len(raw) > 1)
    while at < end:
        length, visible = _character(raw, at)
        if visible:
            if seen == 0:
                return at
            seen -= 1
            after = at + length
        at += length
    return after


def _body_start(raw: str) -> int:
    if raw[:1] in ("'", '"'):
        return 1
    if raw[:1] in ("|", ">") and "\n" in raw:
        return raw.index("\n") + 1
    return 0


_CODED = {"x": 4, "u": 6, "U": 10}


def _character(raw: str, at: int) -> tuple[int, bool]:
    """How many characters of the source one character of the text takes, and whether it is visible."""
    if raw[0] == "'" and raw[at : at + 2] == "''":
        return 2, True
    if raw[0] != '"' or raw[at] != "\\":
        return 1, not raw[at].isspace()
    escape = raw[at + 1 : at + 2]
    if length := _CODED.get(escape):
        code = int(raw[at + 2 : at + length], 16)
        return length, not (code < 0x110000 and chr(code).isspace())
    return 2, escape not in "tnvfrN_LP" and not escape.isspace()
