"""Bodies of replies: templates, lists an item, XML, and values that are not harmless."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from engine.messages import Reply
from engine.model import Replies
from engine.replies import ReplyWriter
from flows.trial import body_of
from tests.engine.invented import STOCK, interpreter, stock, tried


def written(spec: dict[str, Any], document: Any = None, **bindings: Any) -> Reply:
    writer = ReplyWriter((Replies.model_validate({"accepted": spec}),), "jlens")
    return writer.write("accepted", document, {"receipt": {"id": "d1"}, **bindings})


def replied(replies: str, body: Any, **options: Any) -> Any:
    """The body of the answer to a stock message, by a feed with these replies."""
    feed = f"feeds:\n  stock:\n{STOCK}    replies:\n{replies}"
    return body_of(tried(interpreter(feed), "stock", body, **options).reply)


def kind(reply: Reply) -> str:
    return {name.lower(): value for name, value in reply.headers}["content-type"]


# ---- templates -----------------------------------------------------------------------------------------


def test_expressions_stand_anywhere_in_a_document_of_literals():
    spec = {"json": {"ok": True, "id": {"expr": "id"}, "list": ["a", {"expr": "id"}], "inner": {"n": 3, "none": None}}}
    expected = {"ok": True, "id": "e1", "list": ["a", "e1"], "inner": {"n": 3, "none": None}}
    assert orjson.loads(written(spec, {"id": "e1"}).body) == expected


def test_a_part_without_a_value_is_left_out_and_null_stays():
    spec = {"json": {"a": {"expr": "absent"}, "b": {"expr": "cleared"}, "c": [{"expr": "absent"}, "x"]}}
    assert orjson.loads(written(spec, {"cleared": None}).body) == {"b": None, "c": ["x"]}


def test_whole_numbers_have_no_fraction():
    assert written({"json": {"count": {"expr": "$count(items)"}}}, {"items": ["a", "b"]}).body == b'{"count":2}'


def test_a_content_type_of_the_file_replaces_the_usual_one():
    reply = written({"json": {}, "headers": {"Content-Type": "application/vnd.corner+json"}})
    assert [value for name, value in reply.headers if name.lower() == "content-type"] == ["application/vnd.corner+json"]


def test_the_receipt_that_stands_in_is_labelled_as_json():
    reply = written({"text": {"expr": "absent"}, "headers": {"Content-Type": "text/csv"}})
    assert (kind(reply), orjson.loads(reply.body)["id"]) == ("application/json", "d1")


# ---- XML -----------------------------------------------------------------------------------------------


def test_an_xml_reply_has_elements_attributes_text_and_repeated_elements():
    spec = {
        "xml": {
            "Response": {"@code": "0", "Status": "OK", "Item": {"expr": "items"}, "Note": {"@k": "v", "#text": "t"}}
        }
    }
    reply = written(spec, {"items": [{"Sku": "a", "@n": "1"}, {"Sku": "b"}]})
    assert reply.body == (
        b"<?xml version='1.0' encoding='UTF-8'?>\n"
        b'<Response code="0"><Status>OK</Status><Item n="1"><Sku>a</Sku></Item><Item><Sku>b</Sku></Item>'
        b'<Note k="v">t</Note></Response>'
    )
    assert kind(reply) == "application/xml; charset=utf-8"


def test_an_xml_reply_has_the_namespaces_that_it_names():
    envelope = {
        "@xmlns:soap": "http://schemas.xmlsoap.org/soap/envelope/",
        "soap:Body": {"Ack": {"@xmlns": "urn:corner", "Id": {"expr": "id"}}},
    }
    root = etree.fromstring(written({"xml": {"soap:Envelope": envelope}}, {"id": "e1"}).body)
    assert root.tag == "{http://schemas.xmlsoap.org/soap/envelope/}Envelope"
    assert root.findtext(".//{urn:corner}Id") == "e1"


def test_absent_values_leave_no_element_and_null_leaves_an_empty_one():
    spec = {"xml": {"R": {"A": {"expr": "a"}, "B": {"expr": "b"}, "C": {"expr": "true"}, "D": {"expr": "[]"}}}}
    assert written(spec, {"b": None}).body.endswith(b"<R><B></B><C>true</C></R>")


def test_what_was_sent_never_becomes_markup():
    sent = '</R><evil a="1">&x;<![CDATA['
    body = written({"xml": {"R": {"@a": {"expr": "v"}, "V": {"expr": "v"}}}}, {"v": sent}).body
    root = etree.fromstring(body)
    assert (root.get("a"), root.findtext("V"), len(root)) == (sent, sent, 1)


@pytest.mark.parametrize("name", ["a b", "", "1a", "p:a", "a>b", "@", "@xmlns:", "a\x00", "#"])
def test_a_name_that_was_sent_and_is_none_gives_the_receipt_instead(name: str):
    reply = written({"xml": {"R": {"expr": "$"}}}, {name: "x"})
    assert (kind(reply), orjson.loads(reply.body)["id"]) == ("application/json", "d1")


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "b", "@c", "#text"]), inner),
    )
)
def test_every_xml_reply_is_well_formed_or_the_receipt(value: Any):
    reply = written({"xml": {"R": {"V": {"expr": "v"}}}}, {"v": value})
    if kind(reply).startswith("application/xml"):
        etree.fromstring(reply.body)
    else:
        assert orjson.loads(reply.body)["id"] == "d1"


@given(st.text(st.characters(exclude_categories=())))
def test_text_in_xml_comes_back_as_it_was_but_for_what_xml_cannot_write(text: str):
    root = etree.fromstring(written({"xml": {"R": {"V": {"expr": "$request.v"}}}}, {}, request={"v": text}).body)
    writable = [
        c if c in "\t\n" or "\x20" <= c < "\ud800" or "\ue000" <= c < "\ufffe" or c > "\uffff" else "\ufffd"
        for c in text
    ]
    found = root.findtext("V") or ""
    assert found.replace("\r", "\ufffd") == "".join(writable)


def test_xml_is_loaded_only_where_a_reply_needs_it():
    script = "import sys, engine.replies, engine.handshakes; print('lxml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# ---- values that are not harmless ------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", ["a\x00b", "a\x1b[31mb", "a\u2028b", "a\x85b", None])
def test_a_text_reply_of_controls_gives_the_receipt_instead(hostile: Any):
    reply = written({"text": {"expr": "v"}}, {"v": hostile})
    assert (kind(reply), orjson.loads(reply.body)["id"]) == ("application/json", "d1")


def test_lines_and_tabs_stay_in_a_text_reply():
    assert written({"text": {"expr": "v"}}, {"v": "a\tb\nc"}).body == b"a\tb\nc"


def test_controls_are_escaped_in_json():
    assert written({"json": {"v": {"expr": "v"}}}, {"v": "\x00\n"}).body == b'{"v":"\\u0000\\n"}'


@pytest.mark.parametrize("expression", ["$number('x')", "$power(10, 400)", "$error('no')"])
def test_an_expression_that_fails_gives_the_receipt_instead(expression: str):
    assert orjson.loads(written({"json": {"v": {"expr": expression}}}).body)["id"] == "d1"
    assert orjson.loads(written({"text": {"expr": expression}}).body)["id"] == "d1"


def test_a_document_as_deep_as_a_body_may_be_can_be_answered():
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": deep}
    assert kind(written({"xml": {"R": {"V": {"expr": "$"}}}}, deep)).startswith("application/xml")
    assert orjson.loads(written({"json": {"v": {"expr": "$"}}}, deep).body) == {"v": deep}


# ---- the replies that providers ask for ------------------------------------------------------------------

FAILED = """\
      accepted:
        json:
          status: SUCCESS
          failedProductList: {expr: '[$results[$not(ok)].{"sku": element.sku, "message": problems[0].message}]'}
"""
LISTS = """\
      accepted:
        json:
          successList: {expr: "[$results[ok].element.sku]"}
          failureList: {expr: "[$results[$not(ok)].element.sku]"}
"""
MODERATION = """\
      accepted:
        json:
          skus:
            expr: |-
              [$results.{"moderationId": element.sku, "requestedInvQty": element.qty,
                         "status": ok ? "Approved" : "Rejected"}]
"""
CODES = """\
      accepted: {json: {responseCode: 0, responseMessage: Success, requestId: {expr: $receipt.id}}}
      rejected: {status: 200, json: {responseCode: 3050, responseMessage: {expr: $problem.message}}}
"""
ACK = """\
      accepted: {text: ACK}
      rejected: {status: 200, text: NACK}
"""
ECHO = """\
      accepted: {json: {expr: $}}
"""
XML = """\
      accepted:
        headers: {Content-Type: text/xml}
        xml:
          Response:
            "@version": "1.0"
            Result: {expr: "$results.{'Sku': element.sku, 'Ok': ok}"}
"""


def test_failed_lines_are_listed_in_a_200_body():
    body = replied(FAILED, stock(a="5", b="many", c="7"))
    assert body["status"] == "SUCCESS"
    assert [line["sku"] for line in body["failedProductList"]] == ["b"]
    assert "is not a number" in body["failedProductList"][0]["message"]


def test_no_failed_line_gives_an_empty_list():
    assert replied(FAILED, stock(a="5")) == {"status": "SUCCESS", "failedProductList": []}


@pytest.mark.parametrize(
    ("quantities", "succeeded", "failed"),
    [({"a": "1", "b": "x"}, ["a"], ["b"]), ({"a": "1"}, ["a"], []), ({"a": "1", "b": "2"}, ["a", "b"], [])],
)
def test_success_and_failure_lists_are_lists_of_none_one_or_more(quantities, succeeded, failed):
    assert replied(LISTS, stock(**quantities)) == {"successList": succeeded, "failureList": failed}


def test_each_line_gets_its_moderation_state():
    body = replied(MODERATION, stock(a="11", b="x"))
    assert body["skus"] == [
        {"moderationId": "a", "requestedInvQty": "11", "status": "Approved"},
        {"moderationId": "b", "requestedInvQty": "x", "status": "Rejected"},
    ]


def test_codes_stand_in_the_body_of_a_200():
    assert replied(CODES, stock())["responseCode"] == 0
    assert replied(CODES, {"items": []})["responseCode"] == 3050


def test_ack_and_nack_are_text():
    assert (replied(ACK, stock()), replied(ACK, {"items": []})) == ("ACK", "NACK")


def test_a_message_is_echoed():
    assert replied(ECHO, stock(a="5")) == stock(a="5")


def test_an_empty_200_has_no_body():
    assert replied("      accepted: {empty: true}\n", stock()) is None


def test_the_lines_of_an_xml_reply_are_elements():
    root = etree.fromstring(replied(XML, stock(a="5", b="x")).encode())
    assert root.get("version") == "1.0"
    assert [(r.findtext("Sku"), r.findtext("Ok")) for r in root] == [("a", "true"), ("b", "false")]


def test_the_status_goes_by_the_verdict():
    replies = "      partial: {status: 207, json: {}}\n      rejected: {status: 422, empty: true}\n"
    one = interpreter(f"feeds:\n  stock:\n{STOCK}    replies:\n{replies}")
    statuses = [tried(one, "stock", body).reply.status for body in (stock(), stock(a="1", b="x"), {"items": []})]
    assert statuses == [200, 207, 422]


def test_a_body_that_cannot_be_read_is_answered_with_what_the_request_says():
    replies = "      rejected: {status: 200, json: {trace: {expr: $request.headers.`x-trace`}}}\n"
    assert replied(replies, b"no json", headers=(("X-Trace", "t-1"),)) == {"trace": "t-1"}


def test_the_urls_of_feeds_can_be_answered():
    replies = "      accepted: {json: {next: {expr: $urls.feeds.stock}}}\n"
    assert replied(replies, stock())["next"] == "https://tiffin.example/v1/integrations/pos/corner/c/con/stock"
