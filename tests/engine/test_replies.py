from __future__ import annotations

from typing import Any

import orjson
import pytest

from engine.messages import Reply
from engine.model import Replies
from engine.replies import ReplyWriter


def written(verdict: str, levels: tuple[dict[str, Any], ...], **bindings: Any) -> Reply:
    writer = ReplyWriter(tuple(Replies.model_validate(level) for level in levels), "jlens")
    return writer.write(verdict, {"restID": "R-1"}, bindings)


def test_without_a_reply_the_receipt_goes_out_with_200() -> None:
    reply = written("accepted", ({},), receipt={"id": "d1", "commands": 3})
    assert (reply.status, orjson.loads(reply.body)) == (200, {"verdict": "accepted", "id": "d1", "commands": 3})


def test_the_nearest_level_wins() -> None:
    reply = written("accepted", ({"accepted": {"status": 201, "empty": True}}, {"accepted": {"json": {}}}))
    assert (reply.status, reply.body) == (201, b"")


@pytest.mark.parametrize("verdict", ["partial", "duplicate", "stale", "ignored", "parked"])
def test_what_is_no_error_falls_back_to_accepted(verdict: str) -> None:
    assert written(verdict, ({"accepted": {"json": {"ok": 1}}},)).body == b'{"ok":1}'


@pytest.mark.parametrize("verdict", ["rejected", "failed", "unauthorized", "busy", "unavailable"])
def test_an_error_does_not_fall_back_to_accepted(verdict: str) -> None:
    assert written(verdict, ({"accepted": {"json": {"ok": 1}}},)).body != b'{"ok":1}'


@pytest.mark.parametrize(("verdict", "status"), [("unauthorized", 401), ("busy", 503), ("unavailable", 503)])
def test_refusals_have_their_status(verdict: str, status: int) -> None:
    assert written(verdict, ({},)).status == status


@pytest.mark.parametrize("verdict", ["busy", "unavailable"])
def test_a_passing_refusal_says_when_to_come_again(verdict: str) -> None:
    assert dict(written(verdict, ({verdict: {"status": 503, "empty": True}},)).headers)["retry-after"] == "5"


def test_an_expression_sees_the_document_and_the_problem() -> None:
    expression = {"expr": '{"code": 400, "store": restID, "message": $problem.message}'}
    reply = written("rejected", ({"rejected": {"status": 400, "json": expression}},), problem={"message": "no"})
    assert reply.body == b'{"code":400,"store":"R-1","message":"no"}'


def test_text_replies_are_plain_text() -> None:
    reply = written("accepted", ({"accepted": {"text": "*ok*"}},))
    assert (dict(reply.headers)["content-type"], reply.body) == ("text/plain; charset=utf-8", b"*ok*")


def test_headers_of_the_file_go_out() -> None:
    assert ("x-kind", "menu") in written("accepted", ({"accepted": {"headers": {"x-kind": "menu"}}},)).headers


def test_a_reply_that_fails_gives_the_receipt_instead() -> None:
    expression = {"expr": "$number(restID)"}
    reply = written("accepted", ({"accepted": {"json": expression}},), receipt={"id": "d1"})
    assert orjson.loads(reply.body)["id"] == "d1"
