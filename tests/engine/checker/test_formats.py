from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from engine.problems import Problem
from schemas.diagnostics import diagnostics

Check = Callable[..., list[Problem]]
CODES = ("header_unnamed", "format_twice", "charset_unknown", "segment_name")


@pytest.mark.parametrize("code", CODES)
def test_the_example_of_each_diagnostic_shows_it_alone(check: Check, code: str) -> None:
    example = next(one.example for one in diagnostics() if one.code == code)
    assert [p.code for p in check("    scope:", f"    {example}    scope:")] == [code]


@pytest.mark.parametrize(
    "accept",
    [
        "xlsx",
        "[json, csv, {tsv: {ragged: fill}}]",
        "{csv: {separator: ';', quote: none, header_rows: 2, charset: windows-1252}}",
        "{xml: {namespaces: {g: [urn:a, urn:b]}, lists: [item], envelope: soap}}",
        "{x12: {loops: {LIN: {segments: [QTY], loops: {N1: {}}}}, summary: [CTT], qualifiers: {LIN: [UP]}}}",
        "{xlsx: {sheet: Stock, header_rows: 2, names_from: 1}}",
    ],
)
def test_formats_with_options_are_accepted(check: Check, accept: str) -> None:
    assert yaml.safe_load(accept)
    assert check("    scope:", f"    accept: {accept}\n    scope:") == []


def test_dividing_what_is_no_number_has_no_use(check: Check) -> None:
    found = check("item_id: id", "item_id: {from: id, divide_by: 10}")
    assert [(p.code, p.hint) for p in found] == [("option_without_use", "remove divide_by")]
    assert check("quantity: qty", "quantity: {from: qty, divide_by: 1000}") == []
