"""Reads a provider file into its models; what is wrong becomes problems with places, all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine import model
from engine.model import Provider
from engine.problems import Problem, ProviderFileError
from engine.yaml12 import Document, Path, compose


def parse(text: str, file: str) -> Provider:
    """The provider file as models. Raises ProviderFileError with every problem of YAML and of structure."""
    return validated(compose(text, file))


def validated(document: Document) -> Provider:
    """Raises ProviderFileError."""
    try:
        return Provider.model_validate(document.data)
    except ValidationError as error:
        problems = {(p.place, p.code): p for p in (_problem(document, e) for e in error.errors(include_url=False))}
        raise ProviderFileError(tuple(sorted(problems.values(), key=lambda p: p.place))) from None


def _problem(document: Document, error: ErrorDetails) -> Problem:
    path, last = _path(document.data, error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(document, path)
    if kind == "missing":
        return _missing_key(document, path, str(last))
    place = document.place_of(path)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _wrong_choice(document, path, error)
    code = _CODES.get(kind, "wrong_type" if kind.endswith(("_type", "_parsing")) else "wrong_value")
    if kind == "not_built":
        place = document.place_of(path, key=True)
    message, hint = _words(error)
    return Problem(place, kind if kind in _OWN else code, message, hint)


# Errors that the models raise themselves carry their own stable codes.
_OWN = frozenset(
    {
        "expression_expected", "not_built", "duration_expected", "one_location", "of_or_except", "window_or_last",
        "one_strategy", "event_and_events", "otherwise_missing", "nothing_to_do",
    }
)  # fmt: skip
_CODES = {"literal_error": "wrong_value", "string_pattern_mismatch": "wrong_value", "too_short": "empty_list"}


def _path(data: Any, loc: Iterable[str | int]) -> tuple[Path, str | int]:
    """The error's path in the document: steps of the models' unions are not steps of the file."""
    path: list[str | int] = []
    last: str | int = ""
    steps = list(loc)
    for n, step in enumerate(steps):
        last = step
        if isinstance(data, Mapping) and step in data:
            path.append(step)
            data = data[str(step)]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            path.append(step)
            data = data[step]
        elif n == len(steps) - 1:
            break
    return tuple(path), last


def _unknown_key(document: Document, path: Path) -> Problem:
    key = str(path[-1]) if path else ""
    known = _siblings(document.data, path)
    near = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    return Problem(document.place_of(path, key=True), "unknown_key", f"{key!r} is not a key of this place", hint)


def _siblings(data: Any, path: Path) -> list[str]:
    """The keys that the models know at the place of an unknown key."""
    found: set[str] = set()
    for candidate in vars(model).values():
        if isinstance(candidate, type) and issubclass(candidate, model.Node) and candidate is not model.Node:
            names = keys_of(candidate)
            value = data
            for step in path[:-1]:
                value = value[step]
            others = set(value) - {path[-1]}
            if others & set(names) and others <= set(names) | _unknown_among(value, path):
                found |= set(names)
    return sorted(found)


def _unknown_among(value: Any, path: Path) -> set[str]:
    return {key for key in value if key == path[-1]}


def keys_of(node: type[BaseModel]) -> list[str]:
    """The keys of a model as they are written in a file."""
    return [field.alias or name for name, field in node.model_fields.items()]


def _missing_key(document: Document, path: Path, key: str) -> Problem:
    place = document.place_of(path, key=True) if path else document.place_of(())
    name = path[-1] if path else "the file"
    return Problem(place, "missing_key", f"{name} needs {key}", f"add {key}:")


def _wrong_choice(document: Document, path: Path, error: ErrorDetails) -> Problem:
    expected = str(error.get("ctx", {}).get("expected_tags", "")).replace("'", "")
    place = document.place_of(path)
    scheme = path[-1:] and isinstance(error["input"], Mapping) and "scheme" in error["input"]
    if scheme:
        place = document.place_of((*path, "scheme"))
        written = str(error["input"]["scheme"])
        near = difflib.get_close_matches(written, expected.split(", "), 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {expected}"
        return Problem(place, "unknown_scheme", f"{written!r} is not a scheme", hint)
    if "scheme" in str(error.get("ctx", {}).get("discriminator", "")):
        return Problem(place, "missing_key", "authentication needs scheme, any or all", "add scheme:")
    return Problem(place, "wrong_value", "this has none of the forms that are known here", f"one of {expected}")


def _words(error: ErrorDetails) -> tuple[str, str]:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _OWN:
        return error["msg"], _HINTS.get(kind, "")
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        near = difflib.get_close_matches(str(error["input"]), expected.replace(" or ", ", ").split(", "), 1)
        hint = f"did you mean {near[0]}?" if near else ""
        return f"{error['input']!r} is not one of {expected}", hint
    if kind == "string_pattern_mismatch":
        return f"{error['input']!r} does not have the form {context['pattern']}", ""
    return error["msg"][:1].lower() + error["msg"][1:], ""


_HINTS = {
    "not_built": "remove it for now",
    "duration_expected": "such as 10m",
    "otherwise_missing": "add otherwise: reject",
    "window_or_last": "such as {window: 10m}",
    "one_strategy": "such as {event_id: [id]}",
}
