from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.cloudevents import NotACloudEvent, _data_last, _further, _members, _to_binary, to_binary, to_structured
from engine.envelope import Envelope

EVENT = {
    "specversion": "1.0",
    "id": "c0ffee",
    "source": "/tenants/T/providers/P/feeds/F",
    "type": "tiffin.UpdatePrice.v1",
    "subject": "item_1",
    "partitionkey": "T/store_1",
    "datacontenttype": "application/json",
    "dataschema": "urn:tiffin:UpdatePrice.v1",
    "data": {"item_id": "item_1", "price": {"amount": "4.10", "currency": "INR"}},
}

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: name not in {"data", "specversion", "id", "source", "type", "datacontenttype"}
)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
)
events = st.builds(
    lambda id, extensions, data: {
        "specversion": "1.0",
        "id": id,
        "source": "/s",
        "type": "t",
        **extensions,
        "datacontenttype": "application/json",
        "data": data,
    },
    text.filter(bool),
    st.dictionaries(names, text),
    data,
)


def without(*names: str) -> bytes:
    return orjson.dumps({name: value for name, value in EVENT.items() if name not in names})


def test_attributes_become_ce_headers_and_data_the_value() -> None:
    headers, value = to_binary(orjson.dumps(EVENT))
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"c0ffee",
        "ce_source": b"/tenants/T/providers/P/feeds/F",
        "ce_type": b"tiffin.UpdatePrice.v1",
        "ce_subject": b"item_1",
        "ce_partitionkey": b"T/store_1",
        "ce_dataschema": b"urn:tiffin:UpdatePrice.v1",
        "content-type": b"application/json",
    }
    assert value == orjson.dumps(EVENT["data"])


@given(events)
def test_an_event_survives_the_way_to_binary_mode_and_back(event: dict[str, Any]) -> None:
    assert json.loads(to_structured(*to_binary(json.dumps(event).encode()))) == event


@given(data, st.sampled_from([None, 1, 2]))
def test_the_bytes_of_data_are_those_of_the_event(data: Any, indent: int | None) -> None:
    written = json.dumps(data, indent=indent)
    event = '{ "specversion":"1.0","id":"1", "data" : ' + written + ' , "source":"s","type":"t"\n}'
    assert to_binary(event.encode())[1] == written.encode()


def test_numbers_beyond_double_precision_keep_their_digits() -> None:
    data = b'{"n":271878346596884015.10000000000000001}'
    event = b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":' + data + b"}"
    assert to_binary(event)[1] == data
    assert data in to_structured(*to_binary(event))


def test_an_extension_whose_name_begins_with_data_is_a_header() -> None:
    headers, _ = to_binary(orjson.dumps({**EVENT, "dataref": "https://example.com/1"}))
    assert ("ce_dataref", b"https://example.com/1") in headers


@pytest.mark.parametrize(("value", "header"), [(3, b"3"), (True, b"true"), (False, b"false")])
def test_integers_and_booleans_are_carried_as_their_canonical_text(value: object, header: bytes) -> None:
    assert ("ce_specrevision", header) in to_binary(orjson.dumps({**EVENT, "specrevision": value}))[0]


def test_an_event_without_data_has_an_empty_value_and_comes_back_without_data() -> None:
    headers, value = to_binary(without("data"))
    assert value == b""
    assert "data" not in orjson.loads(to_structured(headers, value))


def test_binary_data_travels_decoded() -> None:
    event = {**EVENT, "datacontenttype": "application/x-thing", "data_base64": "AP8="}
    del event["data"]
    headers, value = to_binary(orjson.dumps(event))
    assert value == b"\x00\xff"
    assert orjson.loads(to_structured(headers, value)) == event


def test_headers_of_others_are_left_out() -> None:
    headers, value = to_binary(orjson.dumps(EVENT))
    assert to_structured([*headers, ("traceparent", b"00-1")], value) == to_structured(headers, value)


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"[]",
        b"{",
        b'{"id"',
        b'{"id":',
        b'{"id":1 2}',
        b"{1:2}",
        b"\xff{}",
        b"{}",
        b"[" * 100_000,
        orjson.dumps(EVENT) + b"x",
        without("id"),
        without("type"),
        without("source"),
        without("specversion"),
        orjson.dumps({**EVENT, "id": ""}),
        orjson.dumps({**EVENT, "id": 7}),
        orjson.dumps({**EVENT, "extension": {}}),
        orjson.dumps({**EVENT, "extension": None}),
        orjson.dumps({**EVENT, "datacontenttype": "text/plain"}),
        orjson.dumps({**EVENT, "data_base64": "*"}),
        orjson.dumps({**EVENT, "data_base64": 1}),
        without("subject")[:-1] + b',"subject":"\\ud800"}',
    ],
)
def test_what_is_no_cloudevent_is_refused(event: bytes) -> None:
    with pytest.raises(NotACloudEvent):
        to_binary(event)


@pytest.mark.parametrize("missing", ["ce_id", "ce_source", "ce_type", "ce_specversion"])
def test_a_record_without_a_required_header_is_refused(missing: str) -> None:
    headers, value = to_binary(orjson.dumps(EVENT))
    with pytest.raises(NotACloudEvent):
        to_structured([header for header in headers if header[0] != missing], value)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(event: bytes) -> None:
    with pytest.raises(NotACloudEvent):
        to_binary(event)


attributes = st.dictionaries(
    st.sampled_from(["specversion", "id", "source", "type", "tenant", "datacontenttype", "data", "data_base64", "x"]),
    text | st.integers() | st.booleans() | st.none() | st.just("application/json") | st.dictionaries(text, st.just(1)),
)


@given(attributes, data, st.integers(0, 2))
def test_the_short_way_says_what_the_long_one_says(before: dict[str, Any], data: Any, spaces: int) -> None:
    head = json.dumps({**EVENT, **before}, separators=(",", ":"))[:-1]
    event = f'{head},"data":{" " * spaces}{json.dumps(data)}}}'.encode()
    told = _data_last(event)
    assert told is None or told == _to_binary(_members(event))


def test_an_event_with_its_data_last_takes_the_short_way() -> None:
    event = orjson.dumps({**{k: v for k, v in EVENT.items() if k != "data"}, "specrevision": 3})[:-1]
    assert _data_last(event + b',"data":{"a":"1"}}') is not None


def command(data: bytes = b'{"a":"1"}', delivery: str = "d-1", key: str = "item_1") -> bytes:
    envelope = Envelope("T", "P", "F", 3, delivery, "2026-01-01T00:00:00Z")
    return envelope.event(envelope.head("UpdatePrice"), "id-1", key, "item_1", "T/store_1", None, data)


def test_a_command_of_the_interpreter_takes_the_shortest_way_and_says_what_the_long_one_says() -> None:
    told, value = _further(command()) or ([], b"")
    expected, expected_value = _to_binary(_members(command()))
    assert (dict(told), value) == (dict(expected), expected_value)
    assert len(told) == len(expected)


@given(data, text.filter(bool), text.filter(bool))
def test_a_command_of_any_data_and_ids_is_carried_whole(data: Any, delivery: str, key: str) -> None:
    event = command(orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS) if _fits(data) else b"{}", delivery, key)
    told, value = to_binary(event)
    expected, expected_value = _to_binary(_members(event))
    assert (dict(told), value) == (dict(expected), expected_value)


def _fits(data: Any) -> bool:
    try:
        orjson.dumps(data)
    except orjson.JSONEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    "event",
    [
        command(b'{"a":1},"x":{}'),
        command(b'1,"data":2'),
        command(b"{"),
        command() + b" ",
        command().replace(b'{"specversion"', b'{,"specversion"'),
        command().replace(b'"specversion":"1.0",', b""),
        command().replace(b'"tenant":"T"', b'"tenant":{"of":"T"}'),
        command().replace(b'"tenant":"T"', b'"subject":"T"'),
        command().replace(b"application/json", b"text/plain"),
        command(b" 1"),
    ],
)
def test_what_only_looks_like_a_command_does_not_take_the_shortest_way(event: bytes) -> None:
    assert _further(event) is None


def test_commands_of_several_kinds_in_turn_keep_their_own_headers() -> None:
    told = [dict(to_binary(command(delivery=delivery))[0])["ce_deliveryid"] for delivery in ("a", "b", "a")]
    other = Envelope("U", "P", "F", 3, "d", "2026-01-01T00:00:00Z")
    another = other.event(other.head("UpdatePrice"), "i", "k", "s", "U/store_1", None, b"{}")
    tenants = [dict(to_binary(event)[0])["ce_tenant"] for event in (command(), another, command())]
    assert (told, tenants) == ([b"a", b"b", b"a"], [b"T", b"U", b"T"])


def test_a_text_that_imitates_attributes_stays_a_text() -> None:
    imitation = ',"deliveryid":"x","id":"y","commandkey":"z","subject":"s","partitionkey":"p","time":"t","data":{}'
    event = command(orjson.dumps({"note": imitation}), delivery=imitation)
    assert dict(to_binary(event)[0])["ce_deliveryid"] == imitation.encode()
