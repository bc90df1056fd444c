"""Words as they are compared, and the words of questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.search_terms import DocKey, asked, document, scope_words, typos
from engine.words import LONGEST, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Crème BRÛLÉE", ["creme", "brulee"]),
        ("Coke 6×330ml (can)", ["coke", "6", "330ml", "can"]),
        ("पनीर टिक्का", ["पनीर", "टिक्का"]),
        ("Straße, ΟΔΟΣ", ["strasse", "οδοσ"]),
        ("a_b-c.d", ["a", "b", "c", "d"]),
        ("x" * 100, ["x" * LONGEST]),
        ('"; DROP * ()', ["drop"]),
        ("", []),
    ],
)
def test_words_have_no_case_no_accents_and_no_signs(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text())
def test_words_of_words_are_the_same(text: str) -> None:
    assert words_of(" ".join(words_of(text))) == words_of(text)


@pytest.mark.parametrize(("word", "most"), [("dal", 0), ("rice", 1), ("paneer", 1), ("biryanis", 2), ("sku1234", 0)])
def test_letters_of_long_words_may_be_wrong_but_not_of_codes(word: str, most: int) -> None:
    assert typos(word) == most


def test_a_document_has_the_words_of_names_codes_and_the_rest_apart() -> None:
    state = {
        "name": "Brown Rice", "sku": "BR-500", "barcodes": ["8901"], "brand": "Field", "tags": ["vegan"], "rank": 4,
        "description": None, "aliases": [{"kind": "ean", "id": "77"}], "options": [{"name": "Size", "value": "Half"}],
    }  # fmt: skip
    found = document(DocKey("north", "sto_1", "item", "itm_1"), state)
    assert found[1:] == ("brown rice", "br 500 8901 77 itm 1", "field vegan half")


def test_scopes_are_apart_where_names_run_together() -> None:
    assert scope_words("ab", "c")[1] != scope_words("a", "bc")[1]
    assert not set(scope_words("x")) & set(scope_words("y"))


def test_a_question_asks_for_each_word_once_and_for_few() -> None:
    assert [one.word for one in asked("rice RICE brown")] == ["rice", "brown"]
    assert len(asked(" ".join(map(str, range(100))))) == 12
