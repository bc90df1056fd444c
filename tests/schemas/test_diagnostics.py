"""Every diagnostic's page: the faulty example gives that code alone, where the page says; the mended one nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import checker
from engine.extending import Source, overridden, resolve
from engine.provider_file import _HINTS
from schemas import canon
from schemas.diagnostics import FILE_NAME, Diagnostic, base_files, diagnostics, whole_file
from schemas.generate import ROOT, diagnostics_text

ALL = diagnostics()
SHOWN = [one for one in ALL if one.at != "none"]
NO_TEXT = {"file_not_utf8", "folder_missing"}


def told(one: Diagnostic, text: str, samples: tuple[object, ...] | None = None) -> list[tuple[str, str, int, int]]:
    """(code, severity, line, column) of what the checker says about a text that shows a diagnostic."""

    def sources(name: str) -> Source | None:
        if f"{name}.yaml" == FILE_NAME:
            return Source(text, FILE_NAME)
        base = base_files(name)
        return Source(base, f"{name}.yaml") if base else None

    document = resolve(text, FILE_NAME, sources)
    if one.at == "overrides":
        document = overridden(resolve(whole_file(), FILE_NAME), text, "overrides")
    given = one.samples if samples is None else samples
    found = checker.check_document(document, canon(), None if given is None else ({"stock": given} if given else {}))
    return [(p.code, p.severity, p.place.line, p.place.column) for p in found]


@pytest.mark.parametrize("one", SHOWN, ids=lambda one: one.code)
def test_the_faulty_example_gives_that_code_alone_at_the_place_on_the_page(one: Diagnostic) -> None:
    assert told(one, one.file) == [(one.code, one.severity, *one.place)]


@pytest.mark.parametrize("one", SHOWN, ids=lambda one: one.code)
def test_the_mended_example_is_without_a_problem(one: Diagnostic) -> None:
    samples = ({"shop": "R-1", "id": "e-1", "items": [{"id": "a", "qty": "5"}]},) if one.samples == () else None
    assert told(one, one.fixed_file, samples) == []


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.code)
def test_every_diagnostic_says_what_to_do(one: Diagnostic) -> None:
    assert one.says
    assert one.advice


def test_only_what_no_text_can_show_is_without_an_example() -> None:
    assert {one.code for one in ALL if one.at == "none"} == NO_TEXT


def test_codes_are_named_once() -> None:
    codes = [one.code for one in ALL]
    assert len(codes) == len(set(codes))


def test_the_page_has_a_section_for_every_code() -> None:
    assert re.findall(r"^## `(\w+)`$", diagnostics_text(), re.MULTILINE) == [one.code for one in ALL]


# ---- codes in the source ----

RAISING = [
    *(ROOT / "engine" / "checker").glob("*.py"),
    *(ROOT / "engine" / f"{name}.py" for name in ("yaml12", "yaml_errors", "provider_file", "salvage", "extending",
                                                  "merging")),
    *(ROOT / "engine").glob("*model*.py"),
    ROOT / "flows" / "providers.py",
]  # fmt: skip
_CALLS = {"Problem": 1, "_tell": 1, "_problem": 2, "_unresolved": 1, "PydanticCustomError": 0}
"""Where the code stands among the arguments."""
OF_PYDANTIC = {"unknown_key", "missing_key", "wrong_value", "wrong_type", "unknown_scheme"}
"""Codes that pydantic's errors become."""
_OWN = {"expression_expected", *_HINTS}
"""Kinds of error that are codes by themselves; the others are told as wrong_value."""
_CODE = re.compile(r"[a-z]+(_[a-z0-9]+)+|assumed|unauthenticated")


def _codes(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text())
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        at = _CALLS.get(name)
        if at is not None and at < len(call.args):
            constants = [n.value for n in ast.walk(call.args[at]) if isinstance(n, ast.Constant)]
            told = (c for c in constants if isinstance(c, str) and _CODE.fullmatch(c))
            yield from (c for c in told if name != "PydanticCustomError" or c in _OWN)
            assert not isinstance(call.args[at], ast.JoinedStr), f"{file.name}:{call.lineno}: no code can be found"
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in OF_PYDANTIC:
            yield node.value


RAISED = {code for file in RAISING for code in _codes(file)}


def test_every_code_that_is_raised_has_its_section() -> None:
    assert RAISED - {one.code for one in ALL} == set()


def test_every_section_is_of_a_code_that_is_raised() -> None:
    constants = {
        node.value
        for file in RAISING
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {one.code for one in ALL} - constants == set()
