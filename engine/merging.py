"""Merges what a file overrides into what it overrides: mappings by key, all else whole; `null` removes.

What a mapping is depends on where it stands, so the places of the provider language are named here: a key
that needs others beside it (a rule its `command`) is new only when it brings them, and is otherwise an
override of what is not there. Two keys that exclude each other (`event_id` and `payload_hash`) replace one
another. Places keep the file that they come from.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.places import Place
from engine.problems import Problem
from engine.yaml12 import Document, Path

_ANY = "*"
_INNER: Mapping[str, Mapping[str, str]] = {
    "file": {"feeds": "feeds", "lookups": "lookups", "replies": "replies", "auth": "auth", "defaults": "defaults"},
    "feeds": {_ANY: "feed"},
    "feed": {"events": "events", "commands": "rules", "idempotency": "idempotency", "replies": "replies"},
    "events": {_ANY: "event"},
    "event": {"commands": "rules", "idempotency": "idempotency", "replies": "replies"},
    "rules": {_ANY: "rule"},
    "rule": {"commands": "rules", "fields": "fields", "check": "checks"},
    "fields": {_ANY: "field"},
    "field": {"fields": "fields", "lookup": "table"},
    "checks": {_ANY: "check"},
    "lookups": {_ANY: "table"},
    "replies": {_ANY: "reply"},
    "idempotency": {"payload_hash": "payload_hash"},
}
"""What kind of place a key leads to. Places without a name of their own merge by key and know nothing more."""

_NEEDED: Mapping[str, tuple[frozenset[str], ...]] = {
    "feed": (frozenset({"idempotency"}),),
    "event": (frozenset({"commands"}),),
    "rule": (frozenset({"command", "commands"}),),
    "field": (frozenset({"from", "value", "each"}),),
    "check": (frozenset({"that"}),),
}
"""Of each set one key at least must stand in a mapping that is new, not an override."""

_EXCLUDING: Mapping[str, tuple[frozenset[str], ...]] = {
    "idempotency": (frozenset({"event_id", "payload_hash"}),),
    "payload_hash": (frozenset({"of", "except"}), frozenset({"window", "against"})),
    "reply": (frozenset({"json", "text", "xml", "empty"}),),
}
"""Writing one of these keys takes the others of its set away."""

_FORMS: Mapping[str, frozenset[str]] = {
    "field": frozenset({"from", "value", "each"}),
    "auth": frozenset({"scheme", "any", "all"}),
}
"""Writing another of these keys than the base has, or another scheme, replaces the mapping whole."""

_LITERAL_NULL = frozenset({"value", "default", "otherwise"})

_OF_A_CONNECTION: Mapping[str, frozenset[str]] = {
    "file": frozenset({"feeds", "lookups", "defaults"}),
    "feed": frozenset({"events", "commands"}),
    "event": frozenset({"commands"}),
    "rule": frozenset({"commands", "fields"}),
}
"""The keys that a connection may override; what is within `lookups`, `defaults` and `fields` is free."""


def merged(base: Document, over: Document, *, of_connection: bool = False) -> Document:
    """The base with what `over` changes in it, as a document of `over`'s file. Both hold mappings.

    `of_connection` allows fields, lookups and defaults alone, and keeps the base's file as the document's.
    """
    merge = _Merge(base, over, of_connection)
    data = merge.mappings(base.data, over.data, (), "file")
    merge.judge_tables(data)
    problems = (*over.problems, *base.problems, *merge.problems)
    main, other = (base, over) if of_connection else (over, base)
    others = {**base.others, other.file: other.text}
    return Document(data, main.text, main.file, merge.values, merge.keys, problems, others)


_HOLDS_FIELDS = frozenset({"feeds", "feed", "events", "event", "rules", "rule", "fields", "lookups", "defaults"})
"""Places that a connection goes through, and never replaces or removes."""


@dataclass
class _Merge:
    base: Document
    over: Document
    of_connection: bool
    problems: list[Problem] = field(default_factory=list)
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    _new_tables: list[str] = field(default_factory=list)

    def mappings(self, base: Mapping[Any, Any], over: Mapping[Any, Any], path: Path, kind: str) -> dict[Any, Any]:
        """The two as one, in the base's order, new keys last."""
        self._place(self.over, path)
        dropped = self._excluded(over, kind)
        made: dict[Any, Any] = {}
        for key, value in base.items():
            inner = (*path, key)
            if key not in over:
                if key not in dropped:
                    made[key] = self._taken(self.base, value, inner)
            elif not self._allowed(kind, inner, over[key]):
                made[key] = self._taken(self.base, value, inner)
            elif over[key] is not None or _literal_null(kind, key):
                made[key] = self._overridden(value, over[key], inner, _kind(kind, key))
        for key, value in over.items():
            if (
                key not in base
                and self._allowed(kind, (*path, key), value)
                and self._is_new(base, key, value, path, kind)
            ):
                made[key] = self._taken(self.over, value, (*path, key))
        return made

    def _overridden(self, base: Any, over: Any, path: Path, kind: str) -> Any:
        if isinstance(base, dict) and isinstance(over, dict) and not _another_form(base, over, kind):
            return self.mappings(base, over, path, kind)
        return self._taken(self.over, over, path)

    def _taken(self, document: Document, value: Any, path: Path) -> Any:
        self._place(document, path)
        if isinstance(value, dict):
            return {key: self._taken(document, inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._taken(document, inner, (*path, n)) for n, inner in enumerate(value)]
        return value

    def _place(self, document: Document, path: Path) -> None:
        if path in document.values:
            self.values[path] = document.values[path]
        if path in document.keys:
            self.keys[path] = document.keys[path]

    def _excluded(self, over: Mapping[Any, Any], kind: str) -> set[str]:
        written = {key for key, value in over.items() if value is not None}
        return {key for group in _EXCLUDING.get(kind, ()) if group & written for key in group - written}

    def _allowed(self, kind: str, path: Path, value: Any) -> bool:
        """Whether a key of `over` may stand where it does; told at the key where not."""
        if not self.of_connection:
            return True
        key, structural = str(path[-1]), _kind(kind, str(path[-1])) in _HOLDS_FIELDS
        known = kind not in _OF_A_CONNECTION or key in _OF_A_CONNECTION[kind]
        if known and (isinstance(value, dict) or not structural):
            return True
        message = f"a connection cannot {'override' if value is not None else 'remove'} {key}"
        hint = "it may override defaults, lookups and, under feeds, the fields of commands"
        self._tell(path, "override_refused", message, hint)
        return False

    def _is_new(self, base: Mapping[Any, Any], key: str, value: Any, path: Path, kind: str) -> bool:
        inner, at = _kind(kind, key), (*path, key)
        if self.of_connection and inner in ("feed", "event", "rule"):
            needed: tuple[frozenset[str], ...] = (frozenset(),)
        else:
            needed = _NEEDED.get(inner, ())
        nothing = value is None and not _literal_null(kind, key)
        if nothing or (isinstance(value, dict) and any(not group & value.keys() for group in needed)):
            self._missing(base, at, nothing)
            return False
        if kind == "lookups":
            self._new_tables.append(key)
        return True

    def _missing(self, base: Mapping[Any, Any], path: Path, removed: bool) -> None:
        where = ".".join(map(str, path[:-1])) or "the file"
        near = difflib.get_close_matches(str(path[-1]), [str(key) for key in base], 1)
        there = ", ".join(map(str, base)) or "nothing"
        hint = f"did you mean {near[0]}?" if near else f"there: {there}" if len(there) < 200 else ""
        done = "remove" if removed else "override"
        message = f"{where} of {self.base.file} has no {str(path[-1])!r} to {done}"
        self._tell(path, "override_missing", message, hint)

    def judge_tables(self, data: Mapping[Any, Any]) -> None:
        """A new lookup that nothing names was meant to override one."""
        named = set(_named_tables(data.get("feeds"))) if self._new_tables else set()
        for name in self._new_tables:
            if name not in named:
                self._missing(self.base.data.get("lookups") or {}, ("lookups", name), removed=False)

    def _tell(self, path: Path, code: str, message: str, hint: str) -> None:
        self.problems.append(Problem(self.over.place_of(path, key=True), code, message, hint))


def _literal_null(kind: str, key: str) -> bool:
    return kind == "field" and key in _LITERAL_NULL


def _kind(kind: str, key: str) -> str:
    inner = _INNER.get(kind, {})
    return inner.get(key) or inner.get(_ANY, "")


def _another_form(base: Mapping[Any, Any], over: Mapping[Any, Any], kind: str) -> bool:
    forms = _FORMS.get(kind, frozenset())
    written = forms & {key for key, value in over.items() if value is not None or key == "value"}
    if not written:
        return False
    return not written & base.keys() or ("scheme" in written and over["scheme"] != base.get("scheme"))


def _named_tables(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, inner in data.items():
            if key == "lookup" and isinstance(inner, str):
                yield inner
            yield from _named_tables(inner)
    elif isinstance(data, list):
        for inner in data:
            yield from _named_tables(inner)
