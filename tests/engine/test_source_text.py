from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.failures import Refusal
from engine.source_text import JsonSource

BODY = b'\xef\xbb\xbf{"a": {"b": [10, -0, 1E+5, "x\\n\\u00e9\\"}"], "c}": true}, "e": [ ], "f": {}, "\\u0067": null}'


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b.0", b"10"),
        ("a.b[1]", b"-0"),
        ("a.b[2]", b"1E+5"),
        ("a.b.3", 'x\né"}'.encode()),
        ("a.c}", b"true"),
        ("e", b"[ ]"),
        ("f", b"{}"),
        ("g", b"null"),
        ("a.b.4", None),
        ("e.0", None),
        ("f.x", None),
        ("a.b.x", None),
        ("a.b.-1", None),
        ("a.b.0.x", None),
        ("h", None),
        ("a.b.99999999999999999999", None),
    ],
)
def test_a_path_gives_the_source_of_its_value(path: str, expected: bytes | None) -> None:
    assert JsonSource(BODY).text(path) == expected


def test_an_object_gives_its_source_as_it_stands() -> None:
    assert JsonSource(b'{"p" : { "x" : [1 , {"y":"}"}] } ,"q":1}').text("p") == b'{ "x" : [1 , {"y":"}"}] }'


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1}x', b'{"a":01}', b"[" * 9999, b'{"a":"\\ud800"}'])
def test_what_is_no_strict_json_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal):
        JsonSource(body)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
LEAVES = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | TEXT
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150)
@given(before=VALUES, value=VALUES, indent=st.none() | st.integers(0, 2), ascii_only=st.booleans())
def test_the_source_of_a_value_reads_as_that_value(
    before: Any, value: Any, indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps({"before": before, "list": [before, value]}, indent=indent, ensure_ascii=ascii_only).encode()
    found = JsonSource(body).text("list[1]")
    assert found is not None
    assert (found.decode() if isinstance(value, str) else json.loads(found)) == value


@settings(max_examples=100)
@given(value=VALUES, indent=st.integers(0, 3))
def test_minifying_takes_out_white_space_between_tokens_only(value: Any, indent: int) -> None:
    body = json.dumps({"v": value}, indent=indent).encode()
    assert JsonSource(body).minified() == json.dumps({"v": value}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": [{"b": 1.0}, {"b":"x"} ,[{"b": 3}], 4, {}]}', [b"1.0", b"x", None, None, None]),
        (b'{"a": []}', []),
        (b'{"a": [ ]}', []),
        (b'{"a": {"b": 1}}', []),
        (b'{"a": "[1]"}', []),
        (b"{}", []),
    ],
)
def test_the_elements_of_a_list_are_read_one_by_one(body: bytes, expected: list[bytes | None]) -> None:
    assert [one.text("b") for one in JsonSource(body).elements("a")] == expected
