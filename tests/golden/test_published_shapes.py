"""Documents of every published shape, with values of our own, go through the provider files whole.

`tests/data/published_shapes.json` has, for a golden case, the fields of the provider's published sample that the case
stands for: Square's from the examples of its OpenAPI document, WooCommerce's from its REST documentation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.golden.cases import cases, run

SHAPES: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "data" / "published_shapes.json").read_text()
)
CASES = {case.name: case for case in cases() if case.name in SHAPES}
THIN = {"square-events-catalogue_changed": "catalog", "square-events-location_changed": "store"}
"""Cases of thin events, and the kind of what is to be fetched."""
NOT_OURS = {"square-events-checkout_settings"}
KINDS = {str: "text", bool: "flag", int: "number", float: "number", type(None): "null"}


def shape_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each field's path, [] for the elements of a list, and what kind of value it has."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from shape_of(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from shape_of(inner, f"{path}[]")
    else:
        yield path, KINDS[type(value)]


def test_each_published_shape_has_a_case() -> None:
    assert set(CASES) == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_a_case_has_every_field_of_the_shape_that_it_stands_for(name: str) -> None:
    assert set(SHAPES[name].items()) - set(shape_of(json.loads(CASES[name].request.body))) == set()


@pytest.mark.parametrize("name", sorted(SHAPES.keys() - NOT_OURS))
def test_a_document_of_a_published_shape_is_taken_whole(name: str) -> None:
    (told,) = run(CASES[name])
    assert told.outcome.failures == ()
    assert told.verdict == "accepted"
    assert told.outcome.commands


@pytest.mark.parametrize("name", sorted(THIN))
def test_a_thin_event_becomes_a_request_to_fetch_and_nothing_else(name: str) -> None:
    (told,) = run(CASES[name])
    assert [(command.name, command.data["kind"]) for command in told.outcome.commands] == [
        ("RequestRefresh", THIN[name])
    ]


@pytest.mark.parametrize("name", sorted(NOT_OURS))
def test_an_event_of_no_interest_is_ignored_and_not_failed(name: str) -> None:
    (told,) = run(CASES[name])
    assert (told.verdict, told.outcome.commands, told.outcome.failures) == ("ignored", (), ())
