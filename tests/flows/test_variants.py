"""Variants of documents, and bodies that are changed and written again."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.decoding import decode
from engine.failures import Refusal
from engine.messages import Request
from engine.model import Feed
from flows.variant_bodies import tree_of
from flows.variants import shuffled, variants
from tests.flows.variant_feeds import X12, feed_of


def made(document: Any) -> dict[str, Any]:
    return {str(one): one.document for one in variants(document)}


def request(body: bytes, content_type: str) -> Request:
    headers = ((b"content-type", content_type.encode()),)
    return Request(
        "POST", "https://t.example/in", "/in", (), headers, body, "192.0.2.1", datetime(2026, 1, 5, tzinfo=UTC)
    )


def rewritten(feed: Feed, body: bytes, content_type: str) -> dict[str, Any]:
    """The document that each variant of a body decodes to, by the variant's name; the failure's code where none."""
    tree = tree_of(feed, request(body, content_type))
    assert tree is not None
    return {str(one): _decoded(feed, request(tree.encode(one.document), content_type)) for one in tree.variants()}


def _decoded(feed: Feed, sent: Request) -> Any:
    try:
        return decode(feed, sent)
    except Refusal as refusal:
        return refusal.failure.code


def test_a_list_is_cut_to_one_and_to_none():
    found = made({"items": [{"id": "a"}, {"id": "b"}]})
    assert found["items: cut to one"] == {"items": [{"id": "a"}]}
    assert found["items: cut to none"] == {"items": []}


def test_a_field_is_missing_null_and_of_the_other_scalar_type_once_for_all_elements():
    found = made({"items": [{"qty": "7"}, {"qty": "8"}]})
    assert found["items[].qty: missing"] == {"items": [{}, {"qty": "8"}]}
    assert found["items[].qty: null"] == {"items": [{"qty": None}, {"qty": "8"}]}
    assert found["items[].qty: other type"] == {"items": [{"qty": 7}, {"qty": "8"}]}
    assert len([name for name in found if name.startswith("items[].qty")]) == 3


@pytest.mark.parametrize(
    ("sent", "becomes"),
    [("7", 7), ("tea", 7), ("007", 7), (4.5, "4.5"), (True, "true"), (None, "null"), ("9" * 40, 7)],
)
def test_the_other_scalar_type(sent: Any, becomes: Any):
    assert made({"x": sent})["x: other type"] == {"x": becomes}


def test_a_field_that_only_a_later_element_has_is_varied_there():
    assert made({"items": [{"a": "1"}, {"b": "2"}]})["items[].b: missing"] == {"items": [{"a": "1"}, {}]}


def test_variants_leave_the_document_as_it_was():
    document = {"items": [{"id": "a", "tags": ["x", "y"]}]}
    before = json.dumps(document)
    made(document)
    assert json.dumps(document) == before


def test_of_many_variants_the_same_sample_is_taken_in_order():
    document = {f"f{n}": f"{n}" for n in range(200)}
    first, second = ([str(one) for one in variants(document, 50)] for _ in range(2))
    assert first == second
    assert len(first) == 50
    everything = [str(one) for one in variants(document, 1000)]
    assert [name for name in everything if name in first] == first


def test_a_shuffled_batch_leaves_lists_within_its_elements():
    document = {"items": [{"id": "a", "tags": [{"n": 1}, {"n": 2}]}, {"id": "b"}], "words": ["x", "y"]}
    assert shuffled(document) == {
        "items": [{"id": "b"}, {"id": "a", "tags": [{"n": 1}, {"n": 2}]}],
        "words": ["x", "y"],
    }


def test_json_inside_a_field_is_varied_and_wrapped_again():
    feed = feed_of("json", unwrap=("payload",))
    found = rewritten(feed, b'{"payload": "{\\"id\\": \\"a\\"}"}', "application/json")
    assert found["payload.id: null"] == {"payload": {"id": None}}


def test_lines_of_json_are_varied():
    found = rewritten(feed_of("ndjson"), b'{"id": "a"}\n{"id": "b"}\n', "application/x-ndjson")
    assert found["rows: cut to one"] == {"rows": [{"id": "a"}]}
    assert found["rows: cut to none"] == "body_empty"
    assert found["rows[].id: missing"] == {"rows": [{}, {"id": "b"}]}


def test_a_form_is_varied():
    found = rewritten(feed_of("form"), b"id=a%20b&tag=x&tag=y", "application/x-www-form-urlencoded")
    assert found["id: missing"] == {"tag": ["x", "y"]}
    assert found["tag: cut to one"] == {"id": "a b", "tag": "x"}


def test_a_column_that_is_missing_is_missing_in_every_row():
    found = rewritten(feed_of("csv"), b'sku,title\nA,"Tea, black"\nB,Salt\n', "text/csv")
    assert found["rows[].1: missing"] == {"rows": [{"sku": "A"}, {"sku": "B"}]}
    assert found["rows[].1: null"] == {"rows": [{"sku": "A", "title": ""}, {"sku": "B", "title": "Salt"}]}
    assert found["rows: cut to none"] == {"rows": []}


def test_xml_is_varied_by_element_and_attribute():
    body = b'<feed xmlns="urn:x"><item id="1"><qty>5</qty></item><item id="2"><qty>6</qty></item></feed>'
    found = rewritten(feed_of({"xml": {"namespaces": {"": "urn:x"}, "lists": ["item"]}}), body, "application/xml")
    gone = found["{urn:x}feed.{urn:x}item[].{urn:x}qty: missing"]
    assert gone["feed"]["item"] == [{"@id": "1"}, {"@id": "2", "qty": "6"}]
    assert len(found["{urn:x}feed.{urn:x}item: cut to one"]["feed"]["item"]) == 1


def test_an_interchange_is_varied_and_stays_whole():
    found = rewritten(feed_of({"x12": {"loops": {"LIN": {}}}}), X12, "application/edi-x12")
    lines = found["LIN: cut to one"]["GS"][0]["ST"][0]["LIN"]
    assert [line["LIN03"] for line in lines] == ["TEA"]
    assert "QTY02" not in found["QTY02: missing"]["GS"][0]["ST"][0]["LIN"][0]["QTY"][0]


def test_the_loops_of_an_interchange_are_shuffled_with_what_is_theirs():
    feed = feed_of({"x12": {"loops": {"LIN": {}}, "summary": ["CTT"]}})
    tree = tree_of(feed, request(X12, "application/edi-x12"))
    assert tree is not None
    turned = decode(feed, request(tree.encode(tree.shuffle(tree.value)), "application/edi-x12"))
    lines = turned["GS"][0]["ST"][0]["LIN"]
    assert [(line["LIN03"], line["QTY"][0]["QTY02"]) for line in lines] == [("RICE", "9"), ("TEA", "5")]


def test_a_compressed_body_is_varied_and_compressed_again():
    feed = feed_of("json", gzip=True)
    sent = request(gzip.compress(b'{"items": []}'), "application/json")
    zipped = replace(sent, headers=(*sent.headers, (b"content-encoding", b"gzip")))
    tree = tree_of(feed, zipped)
    assert tree is not None
    assert decode(feed, replace(zipped, body=tree.encode({"items": [1]}))) == {"items": ["1"]}


@pytest.mark.parametrize("body", [b"", b"{", b'"\xff"'], ids=["empty", "broken", "no text"])
def test_a_body_that_cannot_be_read_has_no_variants(body: bytes):
    assert tree_of(feed_of("json"), request(body, "application/json")) is None
