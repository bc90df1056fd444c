"""What of a provider file can still be looked at when its structure is wrong in places.

Unknown keys are taken for the ones they resemble or left out, wrong values are left out, missing ones are
filled in. What was touched is written down, so that nobody reports what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from engine.model import Provider
from engine.problems import Problem
from engine.provider_file import OF_A_MAPPING, Mistake, at, mistakes, problems_of, validate
from engine.yaml12 import Document, Path

_ROUNDS = 8
_FILL: dict[str, Any] = {
    "spec": "tiffin/v1",
    "provider": "unnamed",
    "title": "",
    "family": "pos",
    "revision": 1,
    "evidence": "official",
    "auth": {"scheme": "none"},
    "idempotency": "none",
    "scheme": "none",
    "secret": "",
    "algorithm": "sha256",
    "signature": {},
    "say": "",
    "that": "true",
    "from": "null",
    "each": "null",
    "because": "",
    "path": "",
    "when": "true",
    "reply": {},
    "of": ["raw_body"],
    "hosts": ["unnamed.example"],
    "fields": {"unnamed": "null"},
    "feeds": {"unnamed": {"idempotency": "none"}},
}


@dataclass(frozen=True)
class Structure:
    """A file's models, None where too much is wrong; its problems; and the paths that were touched."""

    provider: Provider | None
    document: Document
    problems: tuple[Problem, ...]
    holes: frozenset[Path]


def structure(document: Document) -> Structure:
    """Never raises."""
    try:
        return Structure(validate(document.data), document, (), frozenset())
    except ValidationError as error:
        found = mistakes(document.data, error)
    if not isinstance(document.data, dict):
        problem = Problem(
            document.place_of(()), "wrong_type", "a provider file is a mapping", "begin with spec: tiffin/v1"
        )
        return Structure(None, document, (problem,), frozenset())
    provider, mended, holes = _salvaged(document, found)
    return Structure(provider, mended, problems_of(document, found), holes)


def _salvaged(document: Document, found: list[Mistake]) -> tuple[Provider | None, Document, frozenset[Path]]:
    mender = _Mender(replace(document, data=_copy(document.data)))
    for _ in range(_ROUNDS):
        mender.mend(found)
        try:
            return validate(mender.document.data, lenient=True), mender.document, frozenset(mender.holes)
        except ValidationError as error:
            found = mistakes(mender.document.data, error)
    return None, mender.document, frozenset(mender.holes)


def _copy(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _copy(value) for key, value in data.items()}
    return [_copy(value) for value in data] if isinstance(data, list) else data


class _Mender:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.holes: set[Path] = set()

    def mend(self, found: Iterable[Mistake]) -> None:
        """From the end of the file to its beginning, so that indices of lists stay true."""
        for mistake in sorted(found, key=lambda m: [str(s).zfill(6) for s in m.path], reverse=True):
            try:
                self._mend(mistake)
            except (KeyError, IndexError, TypeError):
                continue  # what held it is left out already

    def _mend(self, mistake: Mistake) -> None:
        path = mistake.path
        if mistake.kind == "missing":
            self._fill(path, mistake.key)
        elif (
            mistake.kind == "extra_forbidden" and mistake.near and mistake.near not in at(self.document.data, path[:-1])
        ):
            self._rename(path, mistake.near)
        elif mistake.kind in OF_A_MAPPING:
            self.holes.add(path)
        else:
            self._remove(path)

    def _fill(self, path: Path, key: str) -> None:
        if key not in _FILL:
            self._remove(path)
            return
        at(self.document.data, path)[key] = _copy(_FILL[key])
        self.holes.add((*path, key))

    def _remove(self, path: Path) -> None:
        self.holes.add(path)
        if path:
            del at(self.document.data, path[:-1])[path[-1]]

    def _rename(self, path: Path, name: str) -> None:
        holder = at(self.document.data, path[:-1])
        entries = [(name if key == path[-1] else key, value) for key, value in holder.items()]
        holder.clear()
        holder.update(entries)
        renamed = (*path[:-1], name)
        for places in (self.document.values, self.document.keys):
            moved = {(*renamed, *p[len(path) :]): place for p, place in places.items() if p[: len(path)] == path}
            places.update(moved)
