"""The fast and the guarded program of one set of rules, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from engine.compiler import compile_rules
from engine.counts import TooManyElements
from engine.evaluation import RulesProgram
from engine.jsonata import EngineName, JsonataError, Limits, Program
from engine.model import Rule
from engine.places import Place, Scalar


def rules(**written: Any) -> dict[str, Rule]:
    return {name: Rule.model_validate(rule) for name, rule in written.items()}


MENU = rules(
    items={
        "command": "UpsertMenuItem",
        "each": "items",
        "let": {"item": "$"},
        "when": '$not(active = "0")',
        "fields": {"item_id": "id", "price": "$number(price)", "tags": {"each": "tags", "fields": {"name": "n"}}},
        "check": {"named": {"that": "$exists(name)", "say": "an item needs a name"}},
        "commands": {
            "variants": {
                "command": "UpsertVariant",
                "each": "variation",
                "fields": {"variant_id": "id", "item_id": "$item.id", "price": "$number(price)"},
            }
        },
    },
    whole={"command": "UpsertStore", "fields": {"name": "title", "address": "address"}},
)


@pytest.fixture(params=["jlens", "jsonata-python"])
def menu(request: pytest.FixtureRequest) -> RulesProgram:
    engine: EngineName = request.param
    return RulesProgram({}, MENU, engine)


def test_an_elements_index_is_its_position_in_the_payload(menu: RulesProgram) -> None:
    document = {"items": [None, {"id": "a", "active": "0"}, {"id": "b", "name": "B", "price": "1"}]}
    assert [(row.position, row.values["item_id"]) for row in menu.evaluate(document, {}, 0).rows["items"]] == [
        ((2,), "b")
    ]


@pytest.mark.parametrize("items", [[{"id": "a", "name": "A"}], {"id": "a", "name": "A"}])
def test_a_list_of_one_stays_a_list(menu: RulesProgram, items: Any) -> None:
    assert [row.values for row in menu.evaluate({"items": items}, {}, 0).rows["items"]] == [{"item_id": "a"}]


@pytest.mark.parametrize("document", [{}, {"items": []}, {"items": None}])
def test_no_elements_give_no_rows(menu: RulesProgram, document: Any) -> None:
    evaluated = menu.evaluate(document, {}, 0)
    assert (evaluated.rows["items"], evaluated.rows["items/variants"], evaluated.bad) == ([], [], ())


def test_an_undefined_field_is_absent_and_a_null_one_stays(menu: RulesProgram) -> None:
    assert menu.evaluate({"address": None}, {}, 0).rows["whole"][0].values == {"address": None}


def test_an_undefined_list_field_is_absent_and_an_empty_one_stays(menu: RulesProgram) -> None:
    document = {"items": [{"id": "a", "name": "A"}, {"id": "b", "name": "B", "tags": []}]}
    assert [row.values.get("tags") for row in menu.evaluate(document, {}, 0).rows["items"]] == [None, []]


def test_a_failed_check_is_marked_and_a_passed_one_leaves_no_trace(menu: RulesProgram) -> None:
    rows = menu.evaluate({"items": [{"id": "a"}, {"id": "b", "name": "B"}]}, {}, 0).rows["items"]
    assert [row.values.get("!0") for row in rows] == [True, None]


def test_a_nested_rule_sees_its_parent_through_let(menu: RulesProgram) -> None:
    document = {"items": [{"id": "a", "name": "A", "variation": [{"id": "v"}, {"id": "w"}]}]}
    rows = menu.evaluate(document, {}, 0).rows["items/variants"]
    assert [(row.position, row.values) for row in rows] == [
        ((0, 0), {"variant_id": "v", "item_id": "a"}),
        ((0, 1), {"variant_id": "w", "item_id": "a"}),
    ]


def test_one_bad_element_never_sinks_the_others(menu: RulesProgram) -> None:
    document = {"items": [{"id": "a", "name": "A", "price": "x"}, {"id": "b", "name": "B", "price": "2"}]}
    evaluated = menu.evaluate(document, {}, 0)
    assert [row.values["item_id"] for row in evaluated.rows["items"]] == ["b"]
    assert [(bad.rule, bad.index, str(bad.scalar)) for bad in evaluated.bad] == [("items", (0,), "$number(price)")]


def test_a_bad_nested_element_leaves_its_parent_whole(menu: RulesProgram) -> None:
    document = {"items": [{"id": "a", "name": "A", "variation": [{"id": "v", "price": "x"}, {"id": "w"}]}]}
    evaluated = menu.evaluate(document, {}, 0)
    assert [row.values["item_id"] for row in evaluated.rows["items"]] == ["a"]
    assert [row.values["variant_id"] for row in evaluated.rows["items/variants"]] == ["w"]
    assert [(bad.rule, bad.index) for bad in evaluated.bad] == [("items/variants", (0, 0))]


def test_every_bad_field_of_an_element_is_named() -> None:
    program = RulesProgram({}, rules(r={"fields": {"a": "$number(x)", "b": "$number(y)", "c": "z"}}), "jlens")
    evaluated = program.evaluate({"x": "p", "y": "q", "z": "1"}, {}, 0)
    assert [str(bad.scalar) for bad in evaluated.bad] == ["$number(x)", "$number(y)"]


def test_an_each_that_fails_sinks_its_rule_alone() -> None:
    program = RulesProgram({}, rules(a={"each": "$number(x)", "fields": {"v": "$"}}, b={"fields": {"v": "y"}}), "jlens")
    evaluated = program.evaluate({"x": "p", "y": "1"}, {}, 0)
    assert [row.values for row in evaluated.rows["b"]] == [{"v": "1"}]
    assert [(bad.rule, bad.index) for bad in evaluated.bad] == [("a", ())]


def test_a_failing_let_of_the_feed_concerns_the_delivery() -> None:
    feed_rules = rules(a={"fields": {"v": "$n"}})
    lets = {"n": MENU["items"].fields["price"]}
    evaluated = RulesProgram(lets, feed_rules, "jlens").evaluate({"price": "x"}, {}, 0)  # type: ignore[arg-type]
    assert [(bad.rule, str(bad.scalar)) for bad in evaluated.bad] == [(None, "$number(price)")]


def test_large_bodies_give_the_same_rows_as_small_ones() -> None:
    program = RulesProgram({}, MENU, "jlens")
    document = {"items": [{"id": str(n), "name": "é\u2028", "price": "1"} for n in range(5)], "address": None}
    small, large = program.evaluate(document, {}, 0), program.evaluate(document, {}, 10**6)
    assert [r.values for r in small.rows["items"]] == [r.values for r in large.rows["items"]]


def test_an_error_points_at_its_character_in_the_file() -> None:
    text = Scalar("$number(price)", "$number(price)", Place("shop.yaml", 7, 12), "feeds.menu.fields.price")
    feed_rules = {"r": Rule.model_validate({"fields": {"name": "name", "price": text}})}
    (bad,) = RulesProgram({}, feed_rules, "jlens").evaluate({"price": "x"}, {}, 0).bad
    assert bad.place is not None
    assert (bad.place.file, bad.place.line) == ("shop.yaml", 7)
    assert 12 <= bad.place.column <= 12 + len(text)


def test_every_expression_has_its_span_in_the_program() -> None:
    source = compile_rules({}, MENU)
    assert all(source.text[span.start : span.end] == str(span.scalar) for span in source.spans)


def test_only_lets_that_are_mentioned_are_evaluated() -> None:
    lets = {name: Rule.model_validate({"each": text}).each for name, text in {"used": "a", "idle": "b"}.items()}
    assert "$idle" not in compile_rules(lets, rules(r={"fields": {"v": "$used"}})).text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "hostile",
    [
        "($f := function($n){$f($n + 1)}; $f(0))",
        "($f := function($s){$f($s & $s)}; $f('ab'))",
        "[1..999999999]",
        '$match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /^(a+)+$/)',
    ],
    ids=["loops", "doubles a string", "builds a billion items", "backtracks"],
)
def test_a_hostile_expression_ends_in_an_error_or_a_value(hostile: str) -> None:
    limits = Limits(timeout=0.3, max_steps=1_000_000)
    stopped = None
    try:
        Program(hostile).evaluate({}, {}, limits)
    except JsonataError as error:
        stopped = error
    assert stopped is None or stopped.code


@pytest.mark.parametrize("each", ["items", "items[x != '0']"], ids=["a plain path", "any other expression"])
def test_too_many_elements_of_a_large_body_are_counted_before_they_are_evaluated(each: str) -> None:
    program = RulesProgram({}, rules(r={"each": each, "fields": {"a": "$number(x)" if "[" in each else "x"}}), "jlens")
    document = {"items": [{"x": "not a number"}] * 4}
    with pytest.raises(TooManyElements) as raised:
        program.evaluate(document, {}, 10**6, most=3)
    assert (raised.value.rule, raised.value.count) == ("r", 4)


def test_an_each_that_fails_is_not_counted_but_named() -> None:
    program = RulesProgram({}, rules(r={"each": "$number(x)", "fields": {"a": "y"}}), "jlens")
    (bad,) = program.evaluate({"x": "p"}, {}, 10**6, most=3).bad
    assert bad.rule == "r"
