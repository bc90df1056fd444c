"""A provider file with the files that it extends: `extends: base@3`.

Other files are handed in by name; nothing is read here. What cannot be had or does not fit is a problem at
`extends`, and the file is then looked at no further: what follows from a missing base would be noise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from engine.merging import merged
from engine.problems import Problem
from engine.yaml12 import Document, survey

LONGEST_CHAIN = 4
"""A file and what it extends, directly or not, are so many files at most."""

_FORM = re.compile(r"([a-z][a-z0-9-]{0,62})@([1-9][0-9]{0,8})\Z")
_OWN = ("provider", "revision")
"""Keys that a file never takes from the one that it extends."""


class Source(NamedTuple):
    """A provider file's text, and the name that places in it carry."""

    text: str
    file: str


Sources = Callable[[str], Source | None]
"""Finds a provider file by the provider's name."""


def no_sources(name: str) -> Source | None:
    """For a file that stands alone."""
    return None


def resolve(text: str, file: str, sources: Sources = no_sources) -> Document:
    """The document with everything that it extends merged in, and its problems. Never raises.

    `data` is None where the file could not be read or its base could not be had.
    """
    return _resolved(survey(text, file), sources, (file,))


def overridden(document: Document, text: str, file: str) -> Document:
    """The document with a connection's overrides merged in. Never raises.

    `data` is None where the overrides cannot be read.
    """
    over = survey(text, file)
    if over.problems:
        return replace(over, data=None)
    if not isinstance(over.data, dict):
        problem = Problem(
            over.place_of(()), "wrong_type", "overrides are a mapping", "begin with fields under feeds, or lookups"
        )
        return replace(over, data=None, problems=(problem,))
    if not isinstance(document.data, dict):
        return document
    return merged(document, over, of_connection=True)


def _resolved(document: Document, sources: Sources, chain: tuple[str, ...]) -> Document:
    data = document.data
    if not isinstance(data, dict) or "extends" not in data:
        return document
    found = _FORM.match(data["extends"]) if isinstance(data["extends"], str) else None
    if found is None:
        return _unresolved(document, "extends_form", "a base is named with its revision", "write base@3")
    name, revision = found[1], int(found[2])
    source = sources(name)
    if source is None:
        return _unresolved(document, "base_missing", f"there is no provider file {name}.yaml", "put it beside this one")
    if source.file in chain:
        round_ = " extends ".join((*chain[chain.index(source.file) :], source.file))
        return _unresolved(
            document, "extends_cycle", f"files extend each other: {round_}", "let one of them stand alone"
        )
    if len(chain) == LONGEST_CHAIN:
        message = f"more than {LONGEST_CHAIN} files extend one another"
        return _unresolved(document, "extends_too_deep", message, "extend a base further up")
    base = _resolved(survey(source.text, source.file), sources, (*chain, source.file))
    if not isinstance(base.data, dict):
        of_base = base.problems or (Problem(base.place_of(()), "wrong_type", "a provider file is a mapping"),)
        return replace(document, data=None, problems=(*document.problems, *of_base))
    if base.data.get("revision") != revision:
        there = base.data.get("revision")
        message = f"{name}.yaml is at revision {there}, not {revision}"
        hint = f"look at what changed in it, then write {name}@{there}"
        return _unresolved(document, "base_revision", message, hint)
    return merged(_without(base, _OWN), _without(document, ("extends",)))


def _without(document: Document, keys: tuple[str, ...]) -> Document:
    data: dict[Any, Any] = {key: value for key, value in document.data.items() if key not in keys}
    return replace(document, data=data)


def _unresolved(document: Document, code: str, message: str, hint: str) -> Document:
    problem = Problem(document.place_of(("extends",)), code, message, hint)
    return replace(document, data=None, problems=(*document.problems, problem))
