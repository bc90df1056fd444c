from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.decoding import ndjson
from engine.failures import Failure, Refusal

Decode = Callable[..., Any]
Refused = Callable[..., Failure]


def test_each_line_is_a_row_and_blank_lines_are_skipped(decoded: Decode) -> None:
    body = b'\xef\xbb\xbf{"a": 4.10}\r\n\r\n{"a": "x"}\n[1]'
    assert decoded(body, accept="ndjson") == {"rows": [{"a": "4.10"}, {"a": "x"}, ["1"]]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a": 1}\n\n{"a": 1, "a": 2}\n', "body_duplicate_key"),
        (b'{"a": 1}\n\n{"a": \n1}\n', "body_not_json"),
        (b'{"a": 1}\n\n12', "body_not_document"),
    ],
)
def test_a_bad_line_is_named(refused: Refused, body: bytes, code: str) -> None:
    failure = refused(body, accept="ndjson")
    assert failure.code == code
    assert failure.facts["line"] == 3
    assert failure.message.startswith("Line 3: ")


def test_no_line_at_all_is_empty(refused: Refused) -> None:
    assert refused(b"\n \n", accept="ndjson").code == "body_empty"


def test_lines_are_given_one_by_one_until_one_is_wrong() -> None:
    rows = ndjson.rows(b'{"a": 1}\n\n{"a": \n')
    assert next(rows) == {"a": "1"}
    with pytest.raises(Refusal):
        next(rows)
