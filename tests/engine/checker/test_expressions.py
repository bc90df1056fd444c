import pytest

from engine.checker.functions import BUILT_IN
from engine.checker.tokens import tokens
from engine.jsonata import reads
from engine.reference import evaluate_reference


@pytest.mark.parametrize(
    "expression",
    [
        "$number(qty) > 0",
        'kind = "1"',
        '$not(kind = "1")',
        "$count(items) > 1",
        "$sum(items.$number(qty)) >= 2 * 3",
        "$length(name) > 3 and $exists(id)",
        "$settings.limit > 3",
        "items.{'n': $number(q)}[n > 1]",
        "$map(items, function($v, $i) { $i > 0 })",
        "($n := $number(qty); $n * 2 > 1)",
        "$string(items.*.price) & 'x' = 'y'",
        "qty in ['1', '2']",
        "$substring(name, 0, 1) != 'x'",
        "$$.shop = 'a'",
        "$request.headers.`x-y` = 'a'",
        "$lookup($settings, 'a').b = 'x'",
        "items[0].name ~> $uppercase = 'A'",
        "items@$i.x[$i.y = z].q = 'a'",
        "/^a%b 1 = 2/i.test('x') = null",
    ],
)
def test_a_sound_expression_is_left_alone(when, expression):
    assert [code for code, _ in when(expression) if code != "expression_syntax"] == []


@pytest.mark.parametrize(
    ("expression", "code", "offset"),
    [
        ("qty > 0", "number_comparison", 0),
        ("0 < item.qty", "number_comparison", 4),
        ("kind = 1 and a", "number_comparison", 0),
        ("a and (b.c[0]) >= -1", "number_comparison", 6),
        ("$exists(items[qty > 0])", "number_comparison", 14),
        ("$$.qty <= 1", "number_comparison", 0),
        ("status in [1, 2]", "number_comparison", 0),
        ("`unit qty` = 5", "number_comparison", 0),
        ("$number(qty * 2) > 1", "text_arithmetic", 8),
        ("x-id = 'a'", "text_arithmetic", 0),
        ("kind != 'x'", "vanishing_inequality", 0),
        ("$exists(items[kind != 'x'])", "vanishing_inequality", 14),
        ("$exists($shop)", "unknown_variable", 8),
        ("$results", "unknown_variable", 0),
        ('a = "x" and $exist(b)', "unknown_function", 12),
        ("$settings('a')", "unknown_function", 0),
        ("a < $now()", "function_refused", 4),
        ("$eval(a)", "function_refused", 0),
        ("items.%.a", "parent_refused", 6),
        ("a = ", "expression_syntax", 3),
        ("$f(", "expression_syntax", 2),
        ("a) + (b", "expression_syntax", 1),
        ("a = 'x", "expression_syntax", 4),
    ],
)
def test_a_mistake_is_told_at_its_character(when, expression, code, offset):
    assert (code, offset) in when(expression)


def test_one_misspelt_variable_is_one_problem(when):
    assert when("$exists($shop) and $shop = 'a'") == [("unknown_variable", 8)]


def test_a_misspelt_variable_brings_the_name_that_is_meant(check):
    problem = check(
        "        each: items\n", "        each: items\n        let: {groups: a}\n        when: $exists($gruops)\n"
    )[0]
    assert problem.hint == "did you mean $groups?"


def test_a_comparison_brings_what_to_write(check):
    (problem,) = check("each: items", "each: items[qty > 0]")
    assert problem.hint == "write $number(qty) > 0"


def test_a_let_is_followed_to_the_payload(check):
    (problem,) = check(
        "        each: items\n", "        each: items\n        let: {n: item.qty}\n        when: $n > 0\n"
    )
    assert problem.code == "number_comparison"


def test_a_let_that_is_a_number_may_be_compared_with_one(check):
    new = "        each: items\n        let: {n: $number(qty)}\n        when: $n > 0\n"
    assert check("        each: items\n", new) == []


def test_a_let_holds_from_the_next_line_on(check):
    (problem,) = check("    commands:", "    let: {a: $b, b: id}\n    commands:")
    assert (problem.code, problem.hint) == (
        "unknown_variable",
        "let names hold from the next line on: define $b further up",
    )


def test_a_let_does_not_reach_a_reply(check):
    reply = "    let: {a: id}\n    replies: {accepted: {json: {expr: $a}}}\n    commands:"
    assert [p.code for p in check("    commands:", reply)] == ["unknown_variable"]


def test_replies_know_results_problem_receipt_view_and_urls(check):
    known = "[$results, $problem, $receipt, $view, $urls, $request]"
    reply = f"    replies: {{accepted: {{json: {{expr: '{known}'}}}}}}\n    commands:"
    assert check("    commands:", reply) == []


def test_the_connection_is_chosen_before_settings_are_known(found):
    assert found("feeds:", "connection: $settings.shop\nfeeds:") == [("unknown_variable", 8, 13)]


def test_an_expression_cut_by_a_comment_wants_quotes(found):
    assert found("each: items", "each: items[a = (b #c)]") == [("unquoted_expression", 15, 15)]


def test_a_comment_behind_a_whole_expression_is_a_comment(check):
    assert check("each: items", "each: items # all of them") == []


@pytest.mark.parametrize("name", ["count", "request", "results", "_x", "a-b", "1a"])
def test_a_let_name_that_is_taken_or_no_name_is_told_at_the_name(found, name):
    assert ("let_name", 16, 15) in found("each: items", f"each: items\n        let: {{{name}: id}}")


@pytest.mark.parametrize("expression", ["function($x) { $x }", "(function($x) { $x })", "$trim", "$trim ~> $uppercase"])
def test_a_let_that_is_a_function_is_told(check, expression):
    codes = {p.code for p in check("each: items", f"each: items\n        let: {{f: '{expression}'}}")}
    assert codes == {"let_function"}


def test_a_let_may_use_a_function(check):
    assert check("each: items", "each: items\n        let: {f: '$map(a, function($x) { $x })'}") == []


def test_places_within_folded_expressions_are_exact(found):
    new = "when: >-\n          $exists(a) and\n          $exist(b)\n        each: items"
    assert found("each: items", new) == [("unknown_function", 17, 11)]


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_built_in_function_is_one_for_the_engine_that_serves(name):
    assert reads(f"${name}(a)").bindings == frozenset()


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_built_in_function_is_one_for_the_reference_engine(name):
    from engine.jsonata import SERVING

    assert evaluate_reference(f"$type(${name})", {}, {}, SERVING) == "function"


def test_tokens_know_regular_expressions_from_division():
    assert [t.kind for t in tokens("a / b ~> /x y/i")] == ["name", "operator", "name", "operator", "regex"]


def test_tokens_keep_their_offsets():
    source = 'a /* c */ . `b c` != "x\\"y"'
    assert [source[t.start : t.end] for t in tokens(source)] == ["a", ".", "`b c`", "!=", '"x\\"y"']
