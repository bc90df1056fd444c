"""Where the reference engine has a way of its own with Python's values, and is kept from it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.jsonata import EngineName, Program

both_engines = pytest.mark.parametrize("engine", ["jlens", "jsonata-python"])


@both_engines
@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('[l.{"v": $}]', [{"v": None}, {"v": "a"}]),
        ("$type(l[0])", "null"),
        ("l[0] = null", True),
        ("$exists(x)", True),
        ("$exists(y)", False),
    ],
)
def test_null_of_a_payload_is_null_and_not_undefined(engine: EngineName, text: str, result: Any) -> None:
    assert Program(text, engine).evaluate({"l": [None, "a"], "x": None}, {}) == result


@both_engines
def test_null_reaches_a_host_function_as_none(engine: EngineName) -> None:
    given: list[Any] = []
    Program("$take([x, {'inner': x}])", engine).evaluate({"x": None}, {"take": given.append})
    assert given == [[None, {"inner": None}]]


@both_engines
def test_evaluation_leaves_the_document_as_it_was(engine: EngineName) -> None:
    document = {"l": [{"a": None}]}
    Program("l.a", engine).evaluate(document, {})
    assert document == {"l": [{"a": None}]}
