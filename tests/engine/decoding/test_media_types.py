from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.failures import Failure

Decode = Callable[..., Any]
Refused = Callable[..., Failure]
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b"[1]", ["1"]),
        ("Application/JSON; charset=utf-8", b"[1]", ["1"]),
        ("application/cloudevents+json", b"[1]", ["1"]),
        ("text/csv; header=present", b"a\n1\n", {"rows": [{"a": "1"}]}),
        ("text/tab-separated-values", b"a\tb\n1\t2\n", {"rows": [{"a": "1", "b": "2"}]}),
        (FORM, b"a=1", {"a": "1"}),
        ("application/x-ndjson", b"[1]\n", {"rows": [["1"]]}),
    ],
)
def test_of_several_formats_content_type_decides(
    decoded: Decode, content_type: str, body: bytes, expected: Any
) -> None:
    accept = ["json", "csv", "tsv", "form", "ndjson"]
    assert decoded(body, ("Content-Type", content_type), accept=accept) == expected


@pytest.mark.parametrize(
    "headers", [[], [("Content-Type", "text/plain")], [("Content-Type", FORM)], [("Content-Type", "é;")]]
)
def test_of_several_formats_another_content_type_is_refused(refused: Refused, headers: list[tuple[str, str]]) -> None:
    failure = refused(b"[1]", *headers, accept=["json", "csv"])
    assert failure.code == "content_type_unsupported"
    assert failure.facts["accepted"] == ["application/json", "text/csv"]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream", "text/csv", FORM])
def test_one_format_alone_does_not_insist_on_content_type(decoded: Decode, content_type: str) -> None:
    assert decoded(b' {"a": 1}', ("Content-Type", content_type)) == {"a": "1"}


def test_a_form_on_a_json_feed_is_told_so(refused: Refused) -> None:
    assert refused(b"a=1", ("Content-Type", FORM)).code == "content_type_unsupported"


@pytest.mark.parametrize("accept", ["json", "form", "csv"])
def test_a_multipart_body_is_refused(refused: Refused, accept: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    header = ("Content-Type", "multipart/form-data; boundary=x")
    assert refused(body, header, accept=accept).code == "content_type_unsupported"


BODIES = {
    "application/json": b'{"a": 1}',
    "text/csv": b"a\n1\n",
    "application/xml": b"<a>1</a>",
    "application/rss+xml; charset=utf-8": b"<a>1</a>",
}


@pytest.mark.parametrize(
    ("content_type", "document"),
    [
        ("application/json", {"a": "1"}),
        ("text/csv", {"rows": [{"a": "1"}]}),
        ("application/xml", {"a": "1"}),
        ("application/rss+xml; charset=utf-8", {"a": "1"}),
    ],
)
def test_content_type_decides_among_formats_with_options(decoded: Decode, content_type: str, document: Any) -> None:
    accept = ["json", {"csv": {"separator": "|"}}, {"xml": {"lists": ["item"]}}]
    assert decoded(BODIES[content_type], ("Content-Type", content_type), accept=accept) == document
