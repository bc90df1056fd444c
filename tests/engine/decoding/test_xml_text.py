from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.decoding import xml_text
from engine.failures import Failure, Refusal

Decode = Callable[..., Any]
Refused = Callable[..., Failure]

SOAP_1_1 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_1_2 = "http://www.w3.org/2003/05/soap-envelope"


def _xml(**options: Any) -> dict[str, Any]:
    return {"xml": options}


def test_an_element_of_text_alone_is_its_text_exactly(decoded: Decode) -> None:
    assert decoded(b"<a> 4.10\n <![CDATA[<b>]]>&amp;&#65;</a>", accept="xml") == {"a": " 4.10\n <b>&A"}


def test_an_empty_element_is_empty_text_and_nil_is_null(decoded: Decode) -> None:
    body = b'<a xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><b/><c></c><d i:nil="true"/></a>'
    assert decoded(body, accept="xml") == {"a": {"b": "", "c": "", "d": None}}


def test_attributes_stand_under_their_name_and_text_beside_them(decoded: Decode) -> None:
    body = b'<p currency="INR">4.10</p>'
    assert decoded(body, accept="xml") == {"p": {"@currency": "INR", "#text": "4.10"}}
    assert decoded(body, accept=_xml(text="amount")) == {"p": {"@currency": "INR", "amount": "4.10"}}


def test_text_between_elements_is_joined_and_white_space_between_them_is_nothing(decoded: Decode) -> None:
    body = b"<a>\n <b>one <i>two</i> three</b>\n</a>"
    assert decoded(body, accept="xml") == {"a": {"b": {"i": "two", "#text": "one  three"}}}


def test_declared_lists_are_lists_of_one_and_of_many(decoded: Decode) -> None:
    one = b"<r><item><tag>x</tag></item><note/></r>"
    two = b"<r><item><tag>x</tag><tag>y</tag></item><item/><note/><note/></r>"
    accept = _xml(lists=["r.item", "tag"])
    assert decoded(one, accept=accept) == {"r": {"item": [{"tag": ["x"]}], "note": ""}}
    assert decoded(two, accept=accept) == {"r": {"item": [{"tag": ["x", "y"]}, ""], "note": ["", ""]}}


def test_a_declared_list_is_one_only_at_the_end_of_its_path(decoded: Decode) -> None:
    assert decoded(b"<r><a><item>1</item></a><b><item>2</item></b></r>", accept=_xml(lists=["a.item"])) == {
        "r": {"a": {"item": ["1"]}, "b": {"item": "2"}}
    }


def test_declared_objects_are_objects_also_of_text_alone(decoded: Decode) -> None:
    assert decoded(b"<r><price>5</price><price/></r>", accept=_xml(objects=["price"])) == {
        "r": {"price": [{"#text": "5"}, {}]}
    }


@pytest.mark.parametrize("prefix", ["g", "x"])
def test_keys_have_the_declared_prefix_whatever_the_sender_uses(decoded: Decode, prefix: str) -> None:
    body = f'<r xmlns:{prefix}="urn:goods"><{prefix}:id {prefix}:kind="sku">1</{prefix}:id></r>'.encode()
    assert decoded(body, accept=_xml(namespaces={"g": "urn:goods"})) == {
        "r": {"g:id": {"@g:kind": "sku", "#text": "1"}}
    }


def test_a_namespace_declared_without_prefix_gives_plain_keys(decoded: Decode) -> None:
    body = b'<r xmlns="urn:v2"><id>1</id></r>'
    assert decoded(body, accept=_xml(namespaces={"": ["urn:v1", "urn:v2"]})) == {"r": {"id": "1"}}


def test_an_undeclared_namespace_stays_in_the_key(decoded: Decode) -> None:
    assert decoded(b'<r xmlns="urn:v2"><id>1</id></r>', accept="xml") == {"{urn:v2}r": {"{urn:v2}id": "1"}}


@pytest.mark.parametrize("uri", [SOAP_1_1, SOAP_1_2])
def test_a_soap_envelope_is_taken_off_where_declared(decoded: Decode, uri: str) -> None:
    body = f'<e:Envelope xmlns:e="{uri}"><e:Header/><e:Body><stock><sku>1</sku></stock></e:Body></e:Envelope>'.encode()
    assert decoded(body, accept=_xml(envelope="soap")) == {"stock": {"sku": "1"}}
    assert decoded(body, accept=_xml(envelope="soap:Envelope.soap:Body.stock")) == {"sku": "1"}
    assert decoded(body, accept="xml")["soap:Envelope"]["soap:Header"] == ""


@pytest.mark.parametrize("envelope", ["soap", "a.b.c"])
def test_a_missing_envelope_is_refused(refused: Refused, envelope: str) -> None:
    assert refused(b"<a><b>text</b></a>", accept=_xml(envelope=envelope)).code == "xml_envelope_missing"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("<a>é</a>".encode(), ()),
        ("\ufeff<a>é</a>".encode(), ()),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"), ()),
        ("<a>é</a>".encode("latin-1"), (("Content-Type", "text/xml; charset=iso-8859-1"),)),
        ("<a>é</a>".encode("utf-16"), ()),
        ("<a>é</a>".encode("utf-16-be"), ()),
        ('<?xml version="1.0" encoding="UTF-16"?><a>é</a>'.encode("utf-16"), ()),
    ],
)
def test_charsets_are_read_as_declared(decoded: Decode, body: bytes, headers: tuple[Any, ...]) -> None:
    assert decoded(body, *headers, accept="xml") == {"a": "é"}


BILLION_LAUGHS = (
    "<!DOCTYPE r [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
    + "]><r>&a11;</r>"
)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "body_empty"),
        (" \n", "body_empty"),
        ("text", "body_not_xml"),
        ("<a><b></a>", "body_not_xml"),
        ("<a/><b/>", "body_not_xml"),
        ("<a b='1' b='2'/>", "body_not_xml"),
        ("<a>&unknown;</a>", "body_not_xml"),
        ("<g:a/>", "body_not_xml"),
        ("<a g:b='1'/>", "body_not_xml"),
        ("<a>\x01</a>", "body_not_xml"),
        ("<a>\0</a>", "body_nul"),
        ("<a>&#0;</a>", "body_not_xml"),
        ("<a>&#xD800;</a>", "body_not_xml"),
        ("<!DOCTYPE a><a/>", "xml_doctype"),
        ("<!DOCTYPE a SYSTEM 'file:///etc/hostname'><a/>", "xml_doctype"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><a>&x;</a>", "xml_doctype"),
        ("<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://192.0.2.1/x'> %x;]><a/>", "xml_doctype"),
        (BILLION_LAUGHS, "xml_doctype"),
        ("<a>" * 65 + "</a>" * 65, "body_too_deep"),
        ("<a>" * 50_000, "body_too_deep"),
    ],
)
def test_what_is_no_plain_xml_is_refused(refused: Refused, body: str, code: str) -> None:
    assert refused(body.encode("utf-8", "surrogatepass"), accept="xml").code == code


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_document_type_is_found_in_every_charset(refused: Refused, codec: str) -> None:
    assert refused(BILLION_LAUGHS.encode(codec), accept="xml").code == "xml_doctype"


def test_a_byte_of_another_charset_is_refused(refused: Refused) -> None:
    assert refused(b"<a>\xe9</a>", accept="xml").code == "body_wrong_charset"
    assert refused(b'<?xml version="1.0" encoding="ebcdic-cp-us"?><a/>', accept="xml").code == "body_wrong_charset"


def test_a_mistake_is_placed_by_line_and_column(refused: Refused) -> None:
    failure = refused(b'<?xml version="1.0"\n?>\n<a>\n <b></c>\n</a>', accept="xml")
    assert failure.facts == {"line": 4, "column": 9}


def test_the_feeds_limits_bound_depth_and_values(refused: Refused, decoded: Decode) -> None:
    body = b"<a><b c='1'><d/></b></a>"
    assert decoded(body, accept="xml", limits={"depth": 3, "values": 4})
    assert refused(body, accept="xml", limits={"depth": 2}).code == "body_too_deep"
    assert refused(body, accept="xml", limits={"values": 3}).code == "body_too_many_values"


def test_text_whose_key_is_taken_is_refused(refused: Refused) -> None:
    assert refused(b"<a>x<t>y</t></a>", accept=_xml(text="t")).code == "xml_text_key_taken"


def test_a_large_body_takes_few_times_its_size() -> None:
    body = b"<r>" + b"<item><id>123456</id><title>A title of usual length</title></item>" * 30_000 + b"</r>"
    xml_text.decode(b"<r/>")
    tracemalloc.start()
    xml_text.decode(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * len(body)


NAMES = st.sampled_from(["a", "b", "item"])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8)
TREES = st.recursive(TEXTS, lambda inner: st.lists(st.tuples(NAMES, inner), min_size=1, max_size=4), max_leaves=12)


def _written(tree: Any) -> str:
    if isinstance(tree, str):
        return escape(tree)
    return "".join(f"<{name}>{_written(inner)}</{name}>" for name, inner in tree)


def _expected(tree: Any) -> Any:
    if isinstance(tree, str):
        return tree
    found: dict[str, Any] = {}
    for name, inner in tree:
        found.setdefault(name, []).append(_expected(inner))
    return found


@settings(max_examples=150)
@given(tree=TREES)
def test_a_written_tree_reads_as_its_elements(tree: Any) -> None:
    options = xml_text.XmlOptions.model_validate({"lists": ["a", "b", "item"]})
    assert xml_text.decode(f"<r>{_written(tree)}</r>".encode(), "", options) == {"r": _expected(tree)}


@settings(max_examples=60)
@given(value=TEXTS)
def test_an_attribute_reads_as_it_was_written(value: str) -> None:
    assert xml_text.decode(f"<r x={quoteattr(value)}/>".encode()) == {"r": {"@x": value}}


PIECES = st.lists(
    st.sampled_from(["<", ">", "/", "<a>", "</a>", "<a ", "x='1'", "<!DOCTYPE a [", "<!--", "-->", "<![CDATA[", "]]>",
                     "&", "&lt;", "&#", ";", "<?xml version='1.0'?>", "xmlns='u'", "g:", "é", " ", "t"]),
    max_size=12,
)  # fmt: skip


@settings(max_examples=400, deadline=2000)
@given(body=st.binary(max_size=60) | PIECES.map("".join).map(str.encode))
def test_arbitrary_bytes_give_a_document_or_a_refusal(body: bytes) -> None:
    try:
        document = xml_text.decode(body)
    except Refusal:
        return
    assert isinstance(document, dict)
    assert len(document) == 1
