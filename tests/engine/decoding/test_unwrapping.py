from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.failures import Failure

Decode = Callable[..., Any]
Refused = Callable[..., Failure]


def test_json_inside_a_text_is_decoded_in_place_with_numbers_as_text(decoded: Decode) -> None:
    body = b'{"id": 1, "payload": "{\\"price\\": 4.10, \\"n\\": -0, \\"ok\\": true}"}'
    assert decoded(body, unwrap=["payload"]) == {
        "id": "1",
        "payload": {"price": "4.10", "n": "-0", "ok": True},
    }


def test_json_inside_a_form_field_is_decoded(decoded: Decode) -> None:
    assert decoded(b"data=%5B1%5D&x=2", accept="form", unwrap=["data"]) == {"data": ["1"], "x": "2"}


def test_a_path_goes_through_lists(decoded: Decode) -> None:
    body = b'{"items": [{"p": "[1]"}, {"q": "[1]"}, {"p": "[2]"}]}'
    assert decoded(body, unwrap=["items.p"])["items"] == [{"p": ["1"]}, {"q": "[1]"}, {"p": ["2"]}]
    assert decoded(body, unwrap=["items[2].p"])["items"] == [{"p": "[1]"}, {"q": "[1]"}, {"p": ["2"]}]


def test_paths_are_taken_in_order_so_json_in_json_is_reached(decoded: Decode) -> None:
    body = b'{"a": "{\\"b\\": \\"[5]\\"}"}'
    assert decoded(body, unwrap=["a", "a.b"]) == {"a": {"b": ["5"]}}


@pytest.mark.parametrize(
    "body", [b'{"x": 1}', b'{"payload": {"a": true}}', b'{"payload": null}', b"[]", b'{"payload": 5}']
)
def test_what_is_absent_or_no_text_stays(decoded: Decode, body: bytes) -> None:
    assert decoded(body, unwrap=["payload"]) == decoded(body)


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("nope", "unwrap_not_json"),
        ("", "unwrap_not_json"),
        ("{", "unwrap_not_json"),
        ('{\\"a\\": 1, \\"a\\": 2}', "body_duplicate_key"),
        ("[" * 300, "body_too_deep"),
        ("9" * 65, "body_number_too_long"),
        ('\\"\\\\ud800\\"', "body_lone_surrogate"),
    ],
)
def test_a_text_that_is_no_strict_json_is_refused_with_its_path(refused: Refused, inner: str, code: str) -> None:
    failure = refused(f'{{"a": [{{"payload": "{inner}"}}]}}'.encode(), unwrap=["a.payload"])
    assert (failure.code, failure.path) == (code, "a[0].payload")
