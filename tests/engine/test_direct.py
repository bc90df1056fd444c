"""Plain paths read directly give what the engine gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compiler import compile_rules, compile_values
from engine.direct import direct_rules, direct_values, steps_of
from engine.jsonata import Program
from engine.model import Expression, Rule
from engine.places import Place, Scalar

NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.one_of(st.none(), st.booleans(), st.sampled_from(["", "0", "x", "1.50"]))
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(NAMES, v, max_size=3), max_leaves=8)
OBJECTS = st.dictionaries(NAMES, SCALARS, max_size=3)
DOCUMENTS = st.dictionaries(NAMES, VALUES | OBJECTS | st.lists(OBJECTS, max_size=3))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)


def expression(text: str) -> Expression:
    return Expression(Scalar(text, text, Place("x.yaml", 1, 1), ""))


def rule(**written: Any) -> dict[str, Rule]:
    return {"r": Rule.model_validate({"command": "UpdatePrice", **written})}


@given(DOCUMENTS, st.dictionaries(st.sampled_from(["p", "q"]), PATHS, min_size=1))
def test_values_are_what_the_engine_gives(document: Any, paths: dict[str, str]) -> None:
    values = {name: expression(path) for name, path in paths.items()}
    direct = direct_values(values)
    assert direct is not None
    found = direct(document)
    assert found is None or found == Program(compile_values({}, values).text).evaluate(document, None)


@given(DOCUMENTS, st.none() | PATHS, st.dictionaries(st.sampled_from(["item_id", "price"]), PATHS, min_size=1))
def test_objects_are_what_the_engine_gives(document: Any, each: str | None, fields: dict[str, str]) -> None:
    rules = rule(fields=fields, **({"each": each} if each else {}))
    direct = direct_rules(rules)
    assert direct is not None
    found = direct(document)
    if found is not None:
        (objects,) = Program(compile_rules({}, rules).text).evaluate(document, None)
        assert found["r"] == objects


def test_a_list_of_objects_needs_no_engine() -> None:
    direct = direct_rules(rule(each="lines", fields={"item_id": "sku", "price": {"from": "p", "currency": "c.code"}}))
    assert direct is not None
    assert direct({"lines": [{"sku": "A", "p": "5", "c": {"code": "INR"}}, {"sku": "B"}]}) == {
        "r": [{"item_id": "A", "price": "5", "!c:price": "INR"}, {"item_id": "B"}]
    }


@pytest.mark.parametrize(
    "document",
    [{"lines": [None]}, {"lines": [{"sku": ["A"]}]}, {"lines": [[{"sku": "A"}]]}, {"lines": None}, {"lines": "x"}, []],
    ids=["null element", "list value", "list in a list", "null list", "scalar", "list document"],
)
def test_what_could_be_meant_otherwise_is_left_to_the_engine(document: Any) -> None:
    direct = direct_rules(rule(each="lines", fields={"item_id": "sku"}))
    assert direct is not None
    assert direct(document) is None


@pytest.mark.parametrize("text", ["$x", "a[0]", "a.*", "true", "a.null", "-a", "a & b", "`a`", "a.b.", "", "ä"])
def test_other_expressions_are_no_plain_paths(text: str) -> None:
    assert steps_of(expression(text)) is None


@pytest.mark.parametrize(
    "written", [{"when": "a"}, {"let": {"x": "a"}}, {"check": {"c": {"that": "a", "say": "s"}}}], ids=str
)
def test_a_rule_that_asks_for_more_needs_the_engine(written: dict[str, Any]) -> None:
    assert direct_rules(rule(fields={"item_id": "sku"}, **written)) is None
