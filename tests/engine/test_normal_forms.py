"""Sizes in names, and which items are alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.normal_forms import blocks, likeness, normal_form
from engine.sizes import Size, size_of


@pytest.mark.parametrize(
    ("text", "size", "rest"),
    [
        ("rice 500 g", Size("500", "g"), "rice"),
        ("rice 0.5 kg", Size("500", "g"), "rice"),
        ("rice 0,5kg", Size("500", "g"), "rice"),
        ("rice 1,000 g", Size("1000", "g"), "rice"),
        ("cola 6 x 330ml", Size("330", "ml", 6), "cola"),
        ("cola 330 ml x 6", Size("330", "ml", 6), "cola"),
        ("cola 6×33cl can", Size("330", "ml", 6), "cola can"),
        ("milk 1.5 litres (pack of 4)", Size("1500", "ml", 4), "milk ( )"),
        ("eggs 12 pcs", Size("", "", 12), "eggs"),
        ("eggs, set of 6", Size("", "", 6), "eggs,"),
        ("butter 1 lb", Size("453.59237", "g"), "butter"),
        ("7up", Size(), "7up"),
        ("sku1kg", Size(), "sku1kg"),
        ("room 5 lamp", Size(), "room 5 lamp"),
        ("", Size(), ""),
    ],
)
def test_a_size_is_read_in_base_units(text: str, size: Size, rest: str) -> None:
    found, left = size_of(text)
    assert (found, " ".join(left.split())) == (size, rest)


@given(st.text())
def test_no_text_is_beyond_reading(text: str) -> None:
    form = normal_form("item", {"name": text, "brand": text, "sku": text})
    assert all(isinstance(block, str) for block in blocks(form))


def item(name: str, **state: Any) -> Any:
    return normal_form("item", {"name": name, **state})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (item("Basmati Rice 500 g"), item("RICE, basmati 0.5kg")),
        (item("Cola 6 x 330ml"), item("Cola 330 ml x 6")),
        (item("Crème brûlée"), item("Creme Brulee")),
        (item("Paneer Tikka"), item("Panneer Tikka")),
        (item("Field Brown Rice 1 kg", brand="Field"), item("Brown Rice 1000g", brand="FIELD")),
        (item("Field Brown Rice 1 kg", brand="Field"), item("Field Brown Rice 1kg")),
        (item("Anything", barcodes=["08901234567890"]), item("Else", sku="8901234567890")),
    ],
)
def test_the_same_thing_in_other_words_is_alike(one: Any, other: Any) -> None:
    found, back = likeness(one, other), likeness(other, one)
    assert found is not None
    assert found.score >= 88
    assert back is not None
    assert back.score == found.score
    assert set(blocks(one)) & set(blocks(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (item("Cola 1 l"), item("Cola 2 l")),
        (item("Cola 330 ml"), item("Cola 6 x 330 ml")),
        (item("Pizza 4 Cheese"), item("Pizza 5 Cheese")),
        (item("Paneer Tikka"), item("Paneer Masala")),
        (item("Rice 1 kg", brand="Field"), item("Rice 1 kg", brand="Meadow")),
        (item("Rice"), item("Rice 1 kg")),
        (item("500 g"), item("500 g")),
    ],
)
def test_what_differs_in_size_number_brand_or_words_is_not(one: Any, other: Any) -> None:
    assert likeness(one, other) is None


def test_only_the_same_barcode_is_a_hundred() -> None:
    exact = likeness(item("Rice 1 kg"), item("Rice 1 kg"))
    assert exact is not None
    assert exact.score == 99
    assert exact.because == "'rice' and 'rice', 1000 g"


def test_a_variant_is_compared_by_its_codes_alone() -> None:
    half = normal_form("variant", {"name": "Half", "barcodes": ["8901234567890"]})
    assert blocks(half) == ["c:8901234567890"]


def test_a_short_or_worded_code_is_no_barcode() -> None:
    assert item("Rice", sku="BR-500", barcodes=["1234567", "x" * 13]).codes == ()
