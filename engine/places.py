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
        visible character of the text is the n-th visible character of its source.
        """
        seen = sum(not c.isspace() for c in self[:offset])
        at = _body_start(self.raw)
        visible = 0
        while at < len(self.raw):
            c = self.raw[at]
            if not c.isspace():
                if visible == seen:
                    break
                visible += 1
                if _is_escape(self.raw, at):
                    at += 1
            at += 1
        head = self.raw[:at]
        if "\n" not in head:
            return Place(self.start.file, self.start.line, self.start.column + at)
        return Place(self.start.file, self.start.line + head.count("\n"), at - head.rfind("\n"))


def _body_start(raw: str) -> int:
    if raw[:1] in ("'", '"'):
        return 1
    if raw[:1] in ("|", ">") and "\n" in raw:
        return raw.index("\n") + 1
    return 0


def _is_escape(raw: str, at: int) -> bool:
    return (raw[0] == '"' and raw[at] == "\\") or (raw[0] == "'" and raw[at : at + 2] == "''")
