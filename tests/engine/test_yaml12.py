import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.places import Place
from engine.problems import ProviderFileError
from engine.yaml12 import compose, survey


def codes(text: str) -> list[tuple[str, int, int]]:
    return [(p.code, p.place.line, p.place.column) for p in survey(text, "f.yaml").problems]


@pytest.mark.parametrize(
    "text", ["on", "off", "yes", "no", "y", "012", "12:30", "1_000", "0b1", "2026-01-18", "=", "+"]
)
def test_what_yaml_1_1_guesses_is_text(text):
    assert compose(f"key: {text}", "f").data == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("5", 5), ("-5", -5), ("0", 0),
        ("0x1F", 31), ("0o17", 15), ("1.50", 1.5), ("1e3", 1000.0), ("'5'", "5"), ('"true"', "true"),
    ],
)  # fmt: skip
def test_the_core_schema_types_plain_scalars(text, value):
    read = compose(f"key: {text}", "f").data["key"]
    assert read == value
    assert isinstance(read, type(value))


def test_keys_are_always_text_as_they_are_written():
    data = compose("1: a\n01: b\ntrue: c\nnull: d\n1.50: e\n'': f", "f").data
    assert list(data) == ["1", "01", "true", "null", "1.50", ""]


def test_every_text_knows_its_place_source_and_path():
    data = compose("feeds:\n  - name: 'a b'\n", "f.yaml").data
    scalar = data["feeds"][0]["name"]
    assert (scalar.raw, scalar.start, scalar.where) == ("'a b'", Place("f.yaml", 2, 11), "feeds.0.name")


def test_a_document_knows_the_place_of_a_value_and_of_its_key():
    document = compose("feeds:\n  menu: {path: x}\n", "f.yaml")
    assert document.place_of(("feeds", "menu")) == Place("f.yaml", 2, 9)
    assert document.place_of(("feeds", "menu"), key=True) == Place("f.yaml", 2, 3)


def test_what_is_not_there_has_the_place_of_what_is_round_it():
    document = compose("feeds:\n  menu: {path: x}\n", "f.yaml")
    assert document.place_of(("feeds", "menu", "method")) == Place("f.yaml", 2, 9)


def test_lines_end_as_on_windows_too():
    assert codes("a: 1\r\nb: 2\r\nb: 3\r\n") == [("duplicate_key", 3, 1)]


def test_a_byte_order_mark_takes_no_column():
    assert codes("\ufeffa: 1\na: 2") == [("duplicate_key", 2, 1)]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: 1\nb: 2\na: 3", "duplicate_key", 3, 1),
        ("a: !x 1", "tag_refused", 1, 4),
        ("a: {<<: b}", "merge_key", 1, 5),
        ("a: *b", "alias_unknown", 1, 4),
        ("a: &b [*b]", "alias_unknown", 1, 8),
        ("a: 1\n---\nb: 2", "several_documents", 2, 1),
        ("? [a]\n: b", "key_not_text", 1, 3),
        ("a: .nan", "number_unusable", 1, 4),
        ("a: 1e999", "number_unusable", 1, 4),
        ("a: " + "9" * 5000, "number_unusable", 1, 4),
        ("", "file_empty", 1, 1),
        ("a: \x00", "unprintable_character", 1, 4),
        ("a: '\ud800'", "unprintable_character", 1, 5),
        ("[" * 5000, "file_too_deep", 1, 65),
        ("a: x" + " " * 1_000_001, "file_too_large", 1, 1),
        ("a: 'x", "yaml_syntax", 1, 6),
        ("a:\n\t- b", "yaml_syntax", 2, 1),
    ],
)
def test_what_is_not_read_is_a_problem_with_its_place(text, code, line, column):
    assert codes(text) == [(code, line, column)]


def test_aliases_that_explode_are_one_problem():
    text = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    assert [code for code, *_ in codes(text)] == ["aliases_explode"]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: &x total\nb: *x", 1, 7),
        ("a: &x 'total'\nb: *x", 1, 8),
        ("a: {b: &x total, c: *x}", 1, 11),
        ("a: &x |-\n  total\nb: *x", 2, 3),
        ("a: &x\n  total\nb: *x", 2, 3),
    ],
)
def test_a_text_behind_an_anchor_knows_its_place(text, line, column):
    data = compose(text, "f").data
    read = data["a"]["b"] if isinstance(data["a"], dict) else data["a"]
    assert (read.place().line, read.place().column) == (line, column)


def test_an_empty_value_behind_an_anchor_is_null():
    assert compose("a: &x\nb: 1", "f").data == {"a": None, "b": 1}


def test_an_alias_stands_for_the_value_of_its_anchor():
    assert compose("a: &l [1, 2]\nb: *l", "f").data == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("when: a ? b : c", 7),
        ('when: $f("x: y")', 7),
        ("{when: a ? b : c}", 8),
        ('{when: a ? {"k": v} : z, c: d}', 8),
        ('when: "a" in b', 7),
        ('when: {"x": y}.z', 7),
        ("when: `a b`.c", 7),
        ("when: %.a", 7),
        ("when: *.a", 7),
        ("{when: $f(a, b), c: d}", 8),
        ("[$f(a, b), c]", 2),
        ("when: a and\n  b ? c : d", 7),
    ],
)
def test_an_expression_that_wants_quotes_is_told_where_it_begins(text, column):
    assert codes(text) == [("unquoted_expression", 1, column)]


def test_the_rest_of_the_file_is_read_past_expressions_that_want_quotes():
    text = "a: x ? y : z\nb: {c: x ? {'k': v} : z, d: *.e}\ne: 1\ne: 2\n"
    assert codes(text) == [
        ("unquoted_expression", 1, 4),
        ("unquoted_expression", 2, 8),
        ("unquoted_expression", 2, 29),
        ("duplicate_key", 4, 1),
    ]


def test_compose_raises_all_problems_together():
    with pytest.raises(ProviderFileError) as raised:
        compose("a: !x 1\na: 2", "f")
    assert [p.code for p in raised.value.problems] == ["tag_refused", "duplicate_key"]


@given(st.text(max_size=60) | st.text("a: -[]{}&*!|>'\"%@`#,?\n\t$.", max_size=60))
def test_any_text_gives_data_or_problems(text):
    document = survey(text, "f")
    assert document.problems or document.data is not None or text.strip()
