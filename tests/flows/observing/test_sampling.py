"""Samples of drift: small, like what golden cases show, and without what anybody wrote."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import parse_qs

import pytest

from engine.decoding import xml_text
from engine.formats import XmlOptions
from flows.observing.comparing import Drift, drifts
from flows.observing.sampling import LARGEST, sample
from flows.observing.shapes import Shape, shape_of

GOLDEN = {"id": "g-1", "at": "2026-01-01T10:00:00Z", "lines": [{"sku": "golden-a", "qty": "1"}, {"sku": "golden-b"}]}


def made(
    document: Any, golden: Any = None, *, format_: str = "json", body: bytes | None = None, **more: Any
) -> tuple[bytes, Drift]:
    shape: Shape = shape_of([GOLDEN if golden is None else golden])
    named = more.pop("named", {})
    [drift] = drifts(shape, document, named)
    sent = json.dumps(document).encode() if body is None else body
    hidden, unwrap, options = more.pop("hidden", ()), more.pop("unwrap", ()), more.pop("options", None)
    return sample(format_, sent, document, drift, shape, hidden, unwrap, random.Random(7), options), drift


def test_lists_are_cut_to_the_element_that_shows_it() -> None:
    lines = [{"sku": f"s{n}", "qty": "1"} for n in range(50)] + [{"sku": "s50", "lot": "L-77"}]
    body, _ = made({"id": "i", "lines": lines})
    told = json.loads(body)
    assert (len(told["lines"]), set(told["lines"][0])) == (1, {"sku", "lot"})
    assert told["lines"][0]["sku"] == "golden-a"


def test_letters_and_digits_of_what_is_new_are_others_and_the_rest_stays() -> None:
    body, _ = made({"id": "i", "mail": "Mira.Devi+9@example.org"})
    text = json.loads(body)["mail"]
    assert [c for c in text if not c.isalnum()] == list(".+@.")
    assert (len(text), text != "Mira.Devi+9@example.org") == (23, True)


def test_dates_become_one_date() -> None:
    body, _ = made({"id": "i", "born": "1984-07-09T23:11:12+05:30"})
    assert json.loads(body)["born"] == "2026-02-03T09:00:00+09:00"


def test_other_new_fields_are_left_out() -> None:
    shape = shape_of([GOLDEN])
    document = {"id": "i", "first": "x", "second": "y"}
    one, two = drifts(shape, document, {})
    body = sample("json", json.dumps(document).encode(), document, one, shape, (), (), random.Random(7))
    assert set(json.loads(body)) == {"id", "first"}
    assert two.path == "second"


def test_of_an_object_keyed_by_ids_one_stays_under_another_key() -> None:
    golden = {"stock": {"10012": {"qty": "1"}}}
    document = {"stock": {"88123": {"qty": "2"}, "88124": {"qty": "3", "lot": "x"}}}
    body, _ = made(document, golden)
    [(key, inner)] = json.loads(body)["stock"].items()
    assert (key.isdecimal(), key != "88124", set(inner)) == (True, True, {"qty", "lot"})


def test_equal_values_stay_equal() -> None:
    document = {"id": "i", "new": [{"a": "Mira", "b": "Mira", "c": "Ravi"}]}
    [told] = json.loads(made(document)[0])["new"]
    assert told["a"] == told["b"] != told["c"]


def test_numbers_stay_as_they_were_written() -> None:
    body = b'{"id": "i", "price": 12.50, "flag": true}'
    document = {"id": "i", "price": "12.50"}
    shape = shape_of([{**GOLDEN, "flag": True}])
    [drift] = drifts(shape, document, {})
    told = sample("json", body, document, drift, shape, (), (), random.Random(7))
    assert isinstance(json.loads(told)["price"], float)
    assert json.loads(told)["flag"] is True


def test_json_within_a_field_is_looked_into_and_put_back() -> None:
    golden = {"payload": {"id": "g", "name": "golden"}}
    document = {"payload": {"id": "i", "name": "Mira", "tag": "x"}}
    sent = json.dumps({"payload": json.dumps(document["payload"])}).encode()
    body, _ = made(document, golden, body=sent, unwrap=["payload"])
    inner = json.loads(json.loads(body)["payload"])
    assert (inner["name"], set(inner)) == ("golden", {"id", "name", "tag"})


def test_a_form_is_a_form() -> None:
    golden, document = {"id": "g", "name": "golden"}, {"id": "i", "name": "Mira", "tag": "new one"}
    told = parse_qs(made(document, golden, format_="form")[0].decode())
    assert (told["name"], len(told["tag"][0])) == (["golden"], 7)


def test_a_table_has_its_header_and_the_row() -> None:
    golden = {"rows": [{"sku": "golden-a", "qty": "1"}]}
    document = {"rows": [{"sku": "s1", "qty": "2"}, {"sku": "s2", "qty": "ask"}]}
    header, row = made(document, golden, format_="csv")[0].decode().splitlines()
    assert (header, row.split(",")[0], row.split(",")[1].isalpha()) == ("sku,qty", "golden-a", True)


def test_lines_of_json_are_lines() -> None:
    golden, document = {"rows": [{"sku": "golden-a"}]}, {"rows": [{"sku": "s1"}, {"sku": "s2", "lot": "L-1"}]}
    sent = b"\n".join(json.dumps(row).encode() for row in document["rows"])
    [line] = made(document, golden, format_="ndjson", body=sent)[0].decode().splitlines()
    assert (json.loads(line)["sku"], set(json.loads(line))) == ("golden-a", {"sku", "lot"})


@pytest.mark.parametrize("lists", [["line"], []])
def test_xml_is_xml_that_shows_the_same(lists: list[str]) -> None:
    options = XmlOptions.model_validate({"namespaces": {"p": "urn:p"}, "lists": lists})
    start, end = '<p:stock xmlns:p="urn:p" day="1">', "</p:stock>"
    shown = f'{start}<line no="1"><sku>golden-a</sku></line><line no="2"><sku>golden-b</sku></line>{end}'
    sent = f'{start}<line no="1"><sku>x</sku></line><line no="2"><sku>Mira</sku><lot>L-77</lot></line>{end}'.encode()
    document, golden = (xml_text.decode(text, options=options) for text in (sent, shown.encode()))
    body, drift = made(document, golden, format_="xml", options=options)
    assert drift.path == "`p:stock`.line[].lot"
    again = xml_text.decode(body, options=options)
    assert [one.path for one in drifts(shape_of([xml_text.decode(shown.encode(), options=options)]), again, {})][
        :1
    ] == [drift.path]
    assert b"Mira" not in body
    assert b"golden-a" in body


@pytest.mark.parametrize("format_", ["x12", "xlsx"])
def test_other_formats_have_no_sample(format_: str) -> None:
    assert made({"id": "i", "new": "x"}, format_=format_)[0] == b""


def test_a_sample_is_small_or_none() -> None:
    many = {f"field{chr(97 + n % 26)}{n}": "some text of some length" for n in range(999)}
    assert len(json.dumps(many)) > LARGEST
    assert made({"id": "i", "new": {name: {"v": value} for name, value in many.items()}})[0] == b""


def test_what_is_hidden_is_masked() -> None:
    golden = {"id": "g", "card": {"number": "1"}}
    document = {"id": "i", "card": {"number": "4111"}, "new": "x"}
    told = json.loads(made(document, golden, hidden=(("card", "number"),))[0])
    assert told["card"] == {"number": "[masked]"}
