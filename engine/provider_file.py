"""Reads a provider file into its models; what is wrong becomes problems with places, all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.auth_model import SCHEME_NAMES
from engine.model import Provider
from engine.model_keys import keys_at
from engine.problems import Problem, ProviderFileError
from engine.yaml12 import Document, Path, compose


def parse(text: str, file: str) -> Provider:
    """The provider file as models. Raises ProviderFileError with every problem of YAML and of structure."""
    return validated(compose(text, file))


def validated(document: Document) -> Provider:
    """Raises ProviderFileError with every problem of structure."""
    try:
        return validate(document.data)
    except ValidationError as error:
        raise ProviderFileError(problems_of(document, mistakes(document.data, error))) from None


def validate(data: Any, lenient: bool = False) -> Provider:
    """The models, by the keys as they are written. Raises pydantic's ValidationError."""
    return Provider.model_validate(data, context={"lenient": lenient}, by_alias=True, by_name=False)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One error of the models at its path in the file. `near` is the key that an unknown one may mean."""

    path: Path
    error: ErrorDetails
    near: str = ""

    @property
    def kind(self) -> str:
        return self.error["type"]

    @property
    def key(self) -> str:
        """The last step of the error: the key that is missing or unknown."""
        return str(self.error["loc"][-1]) if self.error["loc"] else ""


def mistakes(data: Any, error: ValidationError) -> list[Mistake]:
    """The errors without those that only follow from another one."""
    found = [_mistake(data, one) for one in error.errors(include_url=False)]
    meant = {(*m.path[:-1], m.near) for m in found if m.near}
    return [m for m in found if not (m.kind == "missing" and (*m.path, m.key) in meant) and not _follows(data, m)]


def _mistake(data: Any, error: ErrorDetails) -> Mistake:
    path = _path(data, error["loc"])
    if error["type"] != "extra_forbidden" or not path:
        return Mistake(path, error)
    near = difflib.get_close_matches(str(path[-1]), keys_at(data, path[:-1]), 1)
    return Mistake(path, error, near[0] if near else "")


def _follows(data: Any, mistake: Mistake) -> bool:
    """A list counts as too short also when all of its elements are wrong, which is told already."""
    return mistake.kind == "too_short" and bool(at(data, mistake.path))


def at(data: Any, path: Path) -> Any:
    """The value at a path of plain data."""
    for step in path:
        data = data[step]
    return data


def _path(data: Any, loc: Iterable[str | int]) -> Path:
    """The error's path in the document: steps of the models' unions are not steps of the file."""
    path: list[str | int] = []
    for step in loc:
        if (isinstance(data, Mapping) and step in data) or (
            isinstance(data, list) and isinstance(step, int) and step < len(data)
        ):
            path.append(step)
            data = data[step]  # type: ignore[index]
    return tuple(path)


def problems_of(document: Document, found: Iterable[Mistake]) -> tuple[Problem, ...]:
    """The problems in order of place, one a place and code."""
    problems = {(p.place, p.code): p for p in (_problem(document, mistake) for mistake in found)}
    return tuple(sorted(problems.values(), key=lambda p: (p.place, p.code)))


def _problem(document: Document, mistake: Mistake) -> Problem:
    kind, path = mistake.kind, mistake.path
    if kind == "extra_forbidden":
        return _unknown_key(document, mistake)
    if kind == "missing":
        return _missing_key(document, path, mistake.key)
    if kind == "union_tag_invalid":
        return _no_form(document, mistake)
    if kind == "literal_error" and mistake.key == "[key]":
        return _unknown_member(document, mistake)
    of_key = kind in OF_A_MAPPING
    place = document.place_of(path, key=of_key and bool(path) and isinstance(path[-1], str))
    code, message, hint = _words(mistake.error)
    return Problem(place, code, message, hint)


OF_A_MAPPING = frozenset(
    {"one_location", "one_paging", "paging_incomplete", "of_or_except", "window_or_last", "one_strategy",
     "event_and_events", "ignored_with_commands", "otherwise_missing", "nothing_to_do", "one_body",
     "header_unnamed", "body_without_post"}
)  # fmt: skip
"""Errors about a mapping as a whole: its key is shown."""

_HINTS = {
    "one_paging": "keep one of them",
    "paging_incomplete": "such as {cursor: next_cursor, as: cursor}",
    "body_without_post": "write method: POST",
    "duration_expected": "such as 10m",
    "answer_alone": "ask in a feed of its own",
    "percent_expected": "such as 30%",
    "otherwise_missing": "add otherwise: reject",
    "window_or_last": "such as {window: 10m}",
    "one_strategy": "such as {event_id: [id]}",
    "one_location": "keep one of them",
    "of_or_except": "keep one of them",
    "event_and_events": "add the one that is missing",
    "ignored_with_commands": "remove either",
    "nothing_to_do": "add commands:",
    "one_body": "keep one of them",
    "host_pattern": "such as certs.example.com or *.example.com",
    "header_unnamed": "such as {header_rows: 2} or {header_rows: 0, columns: [sku, qty]}",
}


def _unknown_key(document: Document, mistake: Mistake) -> Problem:
    key, known = str(mistake.path[-1]), keys_at(document.data, mistake.path[:-1])
    hint = f"did you mean {mistake.near}?" if mistake.near else f"known here: {', '.join(known)}"
    return Problem(
        document.place_of(mistake.path, key=True), "unknown_key", f"{key!r} is not a key of this place", hint
    )


def _unknown_member(document: Document, mistake: Mistake) -> Problem:
    expected = _expected(mistake.error)
    near = difflib.get_close_matches(str(mistake.path[-1]), expected, 1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(expected)}"
    place = document.place_of(mistake.path, key=True)
    return Problem(place, "unknown_key", f"{str(mistake.path[-1])!r} is not a key of this place", hint)


def _missing_key(document: Document, path: Path, key: str) -> Problem:
    named = [step for step in path if isinstance(step, str)]
    name = named[-1] if named else "the file"
    place = document.place_of(path, key=bool(path) and isinstance(path[-1], str))
    return Problem(place, "missing_key", f"{name} needs {key}", f"add {key}:")


def _no_form(document: Document, mistake: Mistake) -> Problem:
    written, path = mistake.error["input"], mistake.path
    if "auth" not in path:
        place = document.place_of(path)
        hint = "write raw_body, minified_body, url, method, or {header: …}, {query: …}, {body: …}, {value: …}"
        return Problem(place, "wrong_value", "this is no part of the bytes to sign", hint)
    schemes = SCHEME_NAMES
    if isinstance(written, Mapping) and "scheme" in written:
        near = difflib.get_close_matches(str(written["scheme"]), schemes, 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(schemes)}"
        message = f"{_shown(written['scheme'])} is not a scheme"
        return Problem(document.place_of((*path, "scheme")), "unknown_scheme", message, hint)
    place = document.place_of(path, key=isinstance(path[-1], str))
    return Problem(place, "missing_key", "authentication needs scheme, any or all", "add scheme:")


def _expected(error: ErrorDetails) -> list[str]:
    said = str(error.get("ctx", {}).get("expected", ""))
    return said.replace("'", "").replace(" or ", ", ").split(", ")


def _words(error: ErrorDetails) -> tuple[str, str, str]:
    """(code, message, hint)."""
    kind, context, written = error["type"], error.get("ctx", {}), error["input"]
    if kind == "expression_expected":
        return kind, error["msg"], _instead(written)
    if kind in _HINTS:
        return kind, error["msg"], _HINTS[kind]
    if kind == "literal_error":
        near = difflib.get_close_matches(str(written), _expected(error), 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(_expected(error))}"
        return "wrong_value", f"{_shown(written)} is not known here", hint
    if kind == "string_pattern_mismatch":
        return "wrong_value", f"{_shown(written)} does not have the form {context['pattern']}", ""
    if kind == "too_short":
        return "wrong_value", "at least one is needed here", ""
    for ending, expected in _TYPES.items():
        if kind == ending:
            hint = (
                f'quote it: "{_plain(written)}"' if expected == "text" and not isinstance(written, dict | list) else ""
            )
            return "wrong_type", f"{expected} is expected here, not {_kind_of(written)}", hint
    return "wrong_value", error["msg"][:1].lower() + error["msg"][1:], ""


_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}


def _instead(written: Any) -> str:
    if isinstance(written, dict | list):
        return "quote the whole expression: '…'"
    if written is None:
        return "write an expression, or remove the key"
    return f"write the literal as {{value: {_plain(written)}}}, or quote the expression"


def _plain(written: Any) -> str:
    return str(written).lower() if isinstance(written, bool) else "" if written is None else str(written)


def _shown(written: Any) -> str:
    shown = repr(str(written)) if isinstance(written, str) else _plain(written) or "nothing"
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _kind_of(written: Any) -> str:
    names = {dict: "a mapping", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if written is None else names.get(type(written), f"the text {_shown(written)}")
