import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.places import Place
from engine.yaml12 import compose


def scalar(source: str):
    return compose(f"key: {source}", "f.yaml").data["key"]


@pytest.mark.parametrize(
    ("source", "wanted", "line", "column"),
    [
        ("items.price", "price", 1, 12),
        ("'a & ''x'' & price'", "price", 1, 19),
        ('"a & \\"x\\" & price"', "price", 1, 19),
        ('"a\\nb price"', "price", 1, 12),
        ('"a\\u0020b price"', "price", 1, 16),
        ('"a \\\n  price"', "price", 2, 3),
        ("a and\n  price", "price", 2, 3),
        (">-\n  a and\n  price", "price", 3, 3),
        ("|\n  a and\n    price", "price", 3, 5),
        ("'😀 & price'", "price", 1, 11),
    ],
)
def test_an_offset_of_the_text_is_found_in_the_source(source, wanted, line, column):
    value = scalar(source)
    assert value.place(value.index(wanted)) == Place("f.yaml", line, column)


def test_the_end_of_a_text_is_just_behind_its_last_visible_character():
    value = scalar("|\n  price\n\n\n")
    assert value.place(len(value)) == Place("f.yaml", 2, 8)


def test_the_end_of_a_quoted_text_is_its_closing_quote():
    value = scalar("'price'")
    assert value.place(len(value)) == Place("f.yaml", 1, 12)


def test_scalars_are_equal_when_their_texts_are():
    assert scalar("price") == scalar("'price'") == "price"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn", "Co")), min_size=1))
def test_every_visible_character_of_a_single_quoted_text_is_found(text):
    source = "'" + text.replace("'", "''") + "'"
    value = scalar(source)
    line = f"key: {source}"
    for offset, character in enumerate(value):
        if not character.isspace():
            assert line[value.place(offset).column - 1] == character
