"""YAML 1.2 by its core schema, with places: `on`, `no`, `012` and `12:30` are text, keys are always text.

Read from PyYAML's parser events. Duplicate keys, tags, merge keys, several documents and what is too
large or too deep are problems; as many as can be found are told at once.
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from engine.places import Place, Scalar
from engine.problems import Problem, ProviderFileError
from engine.yaml_errors import SyntaxProblem, masked, syntax_problem

LARGEST, DEEPEST, MOST_NODES = 1_000_000, 64, 100_000
"""Bounds of a file: characters, levels of nesting, and values once aliases are written out."""

Path = tuple[str | int, ...]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE, _FALSE = frozenset({"true", "True", "TRUE"}), frozenset({"false", "False", "FALSE"})
_ANCHOR = re.compile(r"&[^\s,\[\]{}]+\s*")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z", re.ASCII)
_CODED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_LONGEST_NUMBER = 40


@dataclass(frozen=True)
class Document:
    """A file's data: dict, list, bool, int, float, None, and Scalar for text. Keys are Scalar as well.

    Where other files were merged in, places name the file they come from, and `others` has those files' texts.
    """

    data: Any
    text: str
    file: str
    values: dict[Path, Place]
    keys: dict[Path, Place]
    problems: tuple[Problem, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)

    def line_of(self, place: Place) -> str:
        """The source line that a place stands on; "" where there is none."""
        lines = (self.text if place.file == self.file else self.others.get(place.file, "")).splitlines()
        return lines[place.line - 1] if 0 < place.line <= len(lines) else ""

    def place_of(self, path: Path, key: bool = False) -> Place:
        """Where the value at a path stands, or its key; the nearest one round it where there is none."""
        for length in range(len(path), -1, -1):
            known = self.keys if key and length else self.values
            if found := known.get(path[:length]):
                return found
        return Place(self.file, 1, 1)


def compose(text: str, file: str) -> Document:
    """The one document of a text. Raises ProviderFileError with every problem found."""
    document = survey(text, file)
    if document.problems:
        raise ProviderFileError(document.problems)
    return document


def survey(text: str, file: str) -> Document:
    """The document with its problems; what could not be read is None or left out. Never raises."""
    text = text.removeprefix("\ufeff")
    lines = Lines(text, file)
    if problem := _unreadable(text, lines):
        return Document(None, text, file, {}, {}, (problem,))
    root, found = _nodes(text, lines)
    builder = _Builder(lines)
    data = builder.build(root, ()) if root else None
    problems = tuple(sorted([*found, *builder.problems], key=lambda p: p.place))
    return Document(data, text, file, builder.values, builder.keys, problems)


_MOST_ATTEMPTS = 50


def _nodes(text: str, lines: Lines) -> tuple[_Node | None, list[Problem]]:
    """The root node; expressions that YAML stumbles over are told and passed over."""
    stumbled: list[Problem] = []
    for _ in range(_MOST_ATTEMPTS):
        reader = _Reader(text, lines)
        root = reader.document()
        error = reader.error
        if error is None or error.start is None or any(p.place == error.problem.place for p in stumbled):
            break
        stumbled.append(error.problem)
        text = masked(text, error.start, error.offset)
    found = {(p.place, p.code): p for p in [*stumbled, *reader.problems]}
    return root, list(found.values())


def _unreadable(text: str, lines: Lines) -> Problem | None:
    if len(text) > LARGEST:
        return Problem(lines.place(0), "file_too_large", f"the file has more than {LARGEST} characters", "split it")
    # The pattern costs milliseconds to compile; hardly a file needs it.
    if not text.replace("\n", "").isprintable() and (found := re.search(_UNPRINTABLE, text)):
        code = f"U+{ord(found[0]):04X}"
        return Problem(
            lines.place(found.start()), "unprintable_character", f"{code} may not stand in YAML", "remove it"
        )
    return None


class Lines:
    """Turns offsets of a text into places."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self._starts = [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", text))]

    def place(self, offset: int) -> Place:
        line = bisect.bisect_right(self._starts, offset)
        return Place(self.file, line, offset - self._starts[line - 1] + 1)


@dataclass
class _Node:
    """One value of the file: a scalar, a list of `items` or a mapping of `entries`."""

    start: int
    end: int
    value: str | None = None
    plain: bool = False
    items: list[_Node] | None = None
    entries: list[tuple[_Node, _Node]] | None = None


@dataclass
class _Open:
    """A list or a mapping that is not closed yet."""

    node: _Node
    flow: bool
    anchor: str | None
    waiting: _Node | None = None


@dataclass
class _Reader:
    """Events to nodes, without recursion."""

    text: str
    lines: Lines
    problems: list[Problem] = field(default_factory=list)
    error: SyntaxProblem | None = None
    _stack: list[_Open] = field(default_factory=list)
    _anchors: dict[str, _Node] = field(default_factory=dict)
    _root: _Node | None = None

    def document(self) -> _Node | None:
        documents = 0
        try:
            for event in self._events():
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self._tell(_offset(event), "several_documents", "a second document begins here",
                                   "one provider file holds one document")  # fmt: skip
                        return self._root
                self._take(event)
        except _TooMuch:
            return None
        except yaml.YAMLError as error:
            self.error = syntax_problem(error, self.text, self.lines.place)
            self.problems.append(self.error.problem)
            return None
        if self._root is None:
            self._tell(0, "file_empty", "the file is empty", "begin with spec: tiffin/v1")
        return self._root

    def _events(self) -> Iterator[Any]:
        return yaml.parse(self.text, Loader=_LOADER)

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            self._refuse_tag(event)
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style is None or event.style == ""
            node = _Node(self._past_anchor(event), _end(event), event.value, plain)
            self._remember(event.anchor, node)
            self._place(node)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self._stack.pop()
            done.node.end = _end(event)
            if done.flow:
                _FlowRepair(self.text, self).repair(done.node)
            self._remember(done.anchor, done.node)
            self._place(done.node)

    def _open(self, event: Any) -> None:
        if len(self._stack) >= DEEPEST:
            self._tell(_offset(event), "file_too_deep", f"more than {DEEPEST} levels are nested here")
            raise _TooMuch
        node = _Node(_offset(event), _offset(event))
        if isinstance(event, yaml.MappingStartEvent):
            node.entries = []
        else:
            node.items = []
        self._stack.append(_Open(node, bool(event.flow_style), event.anchor))

    def _place(self, node: _Node) -> None:
        if not self._stack:
            self._root = node
            return
        within = self._stack[-1]
        if within.node.items is not None:
            within.node.items.append(node)
        elif within.waiting is None:
            within.waiting = node
        else:
            assert within.node.entries is not None
            within.node.entries.append((within.waiting, node))
            within.waiting = None

    def _past_anchor(self, event: Any) -> int:
        """Where a scalar begins: libyaml counts the anchor before it as its own."""
        found = event.anchor and _ANCHOR.match(self.text, _offset(event))
        return min(found.end(), _end(event)) if found else _offset(event)

    def _remember(self, anchor: str | None, node: _Node) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _alias(self, event: Any) -> None:
        found = self._anchors.get(event.anchor)
        if found is None:
            self._tell(_offset(event), "alias_unknown", f"no finished anchor &{event.anchor} is above",
                       "an alias stands for a value above it, never for one round it")  # fmt: skip
            found = _Node(_offset(event), _end(event), "", True)
        self._place(found)

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            self._tell(_offset(event), "tag_refused", f"the tag {event.tag} is not part of this language",
                       "leave it out; quote what is text")  # fmt: skip

    def _tell(self, offset: int, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.lines.place(offset), code, message, hint))


def _offset(event: Any) -> int:
    return int(event.start_mark.index)


def _end(event: Any) -> int:
    return int(event.end_mark.index)


class _TooMuch(Exception):
    """Reading goes no further; the problem is told."""


@dataclass
class _FlowRepair:
    """Puts together what commas inside `{…}` or `[…]` have cut, as in `{that: $f(a, b)}`."""

    text: str
    reader: _Reader

    def repair(self, node: _Node) -> None:
        if node.items is not None:
            node.items = self._joined(node.items)
        elif node.entries is not None:
            node.entries = self._joined_entries(node.entries)

    def _joined(self, items: list[_Node]) -> list[_Node]:
        kept: list[_Node] = []
        for item in items:
            if kept and item.plain and self._cut(kept[-1]):
                kept[-1] = self._join(kept[-1], item)
            else:
                kept.append(item)
        return kept

    def _joined_entries(self, entries: list[tuple[_Node, _Node]]) -> list[tuple[_Node, _Node]]:
        kept: list[tuple[_Node, _Node]] = []
        for key, value in entries:
            lone = key.plain and value.plain and value.start == value.end
            if kept and lone and self._cut(kept[-1][1]):
                kept[-1] = kept[-1][0], self._join(kept[-1][1], key)
            else:
                kept.append((key, value))
        return kept

    def _cut(self, node: _Node) -> bool:
        return node.plain and node.value is not None and unbalanced(node.value)

    def _join(self, node: _Node, rest: _Node) -> _Node:
        place = self.reader.lines.place(node.start)
        if not any(p.place == place for p in self.reader.problems):
            self.reader._tell(node.start, "unquoted_expression", "a comma ends this unquoted text",
                              "quote this expression: '…'")  # fmt: skip
        return _Node(node.start, rest.end, self.text[node.start : rest.end], True)


_TEXTS = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`", re.DOTALL)


def is_text(plain: str) -> bool:
    """Whether an unquoted scalar of these characters would be read as text."""
    return not (
        plain in _NULL
        or plain in _TRUE
        or plain in _FALSE
        or any(form.match(plain) for form in (_INTEGER, _CODED, _FLOAT, _NOT_FINITE))
    )


def unbalanced(expression: str) -> bool:
    """Whether brackets or quotes are open at the end of an expression."""
    bare = _TEXTS.sub("", expression)
    opened = sum(bare.count(c) for c in "([{") - sum(bare.count(c) for c in ")]}")
    return opened > 0 or any(c in bare for c in "\"'`")


@dataclass
class _Builder:
    """Nodes to data, writing down the place of every path. Aliases are written out, within bounds."""

    lines: Lines
    problems: list[Problem] = field(default_factory=list)
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    _full: bool = False

    def build(self, node: _Node, path: Path) -> Any:
        self.values[path] = self.lines.place(node.start)
        if len(self.values) > MOST_NODES:
            if not self._full:
                self._full = True
                self._tell(node, "aliases_explode", f"the file holds more than {MOST_NODES} values",
                           "write fewer, or fewer aliases")  # fmt: skip
            return None
        if len(path) > 2 * DEEPEST:
            self._tell(node, "file_too_deep", "aliases nest too deeply here")
            return None
        if node.items is not None:
            return [self.build(item, (*path, n)) for n, item in enumerate(node.items) if not self._full]
        if node.entries is not None:
            return self._mapping(node.entries, path)
        return self._scalar(node, path)

    def _mapping(self, entries: list[tuple[_Node, _Node]], path: Path) -> dict[Scalar, Any]:
        made: dict[Scalar, Any] = {}
        for key, value in entries:
            name = self._key(key, path)
            if name is None or self._full:
                continue
            if name in made:
                first = self.keys[(*path, name)]
                self._tell(key, "duplicate_key", f"{name} stands here again, after line {first.line}",
                           "keep one of them")  # fmt: skip
                continue
            self.keys[(*path, name)] = self.lines.place(key.start)
            made[name] = self.build(value, (*path, name))
        return made

    def _key(self, key: _Node, path: Path) -> Scalar | None:
        if key.value is None:
            self._tell(key, "key_not_text", "a key must be text",
                       "quote it; an expression that begins with { is quoted whole: '{…}'")  # fmt: skip
            return None
        if key.plain and key.value == "<<":
            self._tell(key, "merge_key", "merge keys are not part of YAML 1.2", "write the entries out")
            return None
        return self._text(key, path)

    def _text(self, node: _Node, path: Path) -> Scalar:
        raw = self.lines.text[node.start : node.end]
        return Scalar(node.value or "", raw, self.lines.place(node.start), ".".join(map(str, path)))

    def _scalar(self, node: _Node, path: Path) -> Any:
        text = node.value or ""
        if not node.plain:
            return self._text(node, path)
        if text in _NULL:
            return None
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        if _INTEGER.match(text) or _CODED.match(text) or _FLOAT.match(text) or _NOT_FINITE.match(text):
            return self._number(node, text)
        return self._text(node, path)

    def _number(self, node: _Node, text: str) -> int | float | None:
        if len(text) <= _LONGEST_NUMBER:
            if _CODED.match(text):
                return int(text, 0)
            if _INTEGER.match(text):
                return int(text)
            if not _NOT_FINITE.match(text) and math.isfinite(number := float(text)):
                return number
        self._tell(
            node,
            "number_unusable",
            f"{text[:40]} is no number that can be kept exactly",
            "quote it to make it text",
        )
        return None

    def _tell(self, node: _Node, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.lines.place(node.start), code, message, hint))
