"""What the checker says about handshakes, replies and placeholders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import schemas
from engine import checker
from engine.problems import Problem
from schemas.diagnostics import Diagnostic, diagnostics

CODES = (
    "handshake_name", "handshake_takes_all", "handshake_body", "reply_header", "reply_type", "reply_before_work",
    "xml_root", "xml_name", "body_of_get", "same_path", "feed_name", "one_body",
)  # fmt: skip
Check = Callable[..., list[Problem]]
FEED = "    scope: {store: shop}\n"


@pytest.mark.parametrize("one", [d for d in diagnostics() if d.code in CODES], ids=lambda d: d.code)
def test_the_page_of_a_diagnostic_shows_it(one: Diagnostic) -> None:
    found = checker.check(one.file, "corner.yaml", schemas.canon())
    assert {(p.code, p.severity) for p in found} == {(one.code, one.severity)}


def handshake(check: Check, text: str) -> list[tuple[str, str]]:
    """(code, hint) of what is said about a handshake."""
    return [(p.code, p.hint) for p in check("feeds:\n", f"handshakes:\n  ping:\n{text}feeds:\n")]


GOOD = "    when: $exists(ping)\n    auth: none\n    reply: {empty: true}\n"


def test_a_sound_handshake_has_nothing_said_about_it(check: Check) -> None:
    assert handshake(check, GOOD) == []


@pytest.mark.parametrize("missing", ["when", "reply"])
def test_what_a_handshake_needs_is_said(check: Check, missing: str) -> None:
    text = "".join(line for line in GOOD.splitlines(True) if f" {missing}:" not in line)
    assert handshake(check, text) == [("missing_key", f"add {missing}:")]


def test_a_misspelt_key_of_a_handshake_is_said_to_be_one(check: Check) -> None:
    assert ("unknown_key", "did you mean content_type?") in handshake(check, f"{GOOD}    content-type: text/plain\n")


def test_the_hash_is_there_in_a_reply_with_hash_only(check: Check) -> None:
    text = GOOD.replace("{empty: true}", "{text: {expr: $hash}}")
    assert [code for code, _ in handshake(check, text)] == ["unknown_variable"]
    hashed = "    hash: {algorithm: sha256, of: [{query: code}, endpoint, {secret: proof}]}\n"
    assert handshake(check, text + hashed) == []


@pytest.mark.parametrize("expression", ["$settings.code", "$results", "$receipt.id"])
def test_when_sees_the_message_and_the_request_alone(check: Check, expression: str) -> None:
    text = GOOD.replace("$exists(ping)", f"$exists({expression})")
    assert "unknown_variable" in [code for code, _ in handshake(check, text)]


def test_a_number_of_the_message_is_not_compared_with_a_bare_number(check: Check) -> None:
    assert [code for code, _ in handshake(check, GOOD.replace("$exists(ping)", "ping = 1"))] == ["number_comparison"]


def test_a_when_that_is_always_true_is_refused_at_the_url_of_a_feed_only(check: Check) -> None:
    always = GOOD.replace("$exists(ping)", '"true"')
    assert [code for code, _ in handshake(check, always)] == ["handshake_takes_all"]
    assert handshake(check, f"{always}    path: hello\n") == []
    assert [code for code, _ in handshake(check, f"{always}    path: stock\n")] == ["handshake_takes_all"]


@pytest.mark.parametrize("host", ["*.com", "*", "sns.*.com", "https://a.example", "a.example/", "A.example", ""])
def test_a_host_that_is_none_or_too_wide_is_refused(check: Check, host: str) -> None:
    shown = f"    show: {{open: {{from: url, hosts: ['{host}']}}}}\n"
    assert [code for code, _ in handshake(check, GOOD + shown)] == ["host_pattern"]


def test_the_value_of_a_secret_does_not_stand_in_a_hash(check: Check) -> None:
    hashed = "    hash: {algorithm: sha256, of: [{secret: 8f3kd02ls9xkq1mz77ab}]}\n"
    assert [code for code, _ in handshake(check, GOOD + hashed)] == ["secret_name"]


@pytest.mark.parametrize("part", ["{secrt: proof}", "raw_bdy", "{}"])
def test_what_is_no_part_of_a_hash_is_refused(check: Check, part: str) -> None:
    hashed = f"    hash: {{algorithm: sha256, of: [{part}]}}\n"
    assert len(handshake(check, GOOD + hashed)) == 1


def test_every_expression_of_a_template_is_looked_at(check: Check) -> None:
    replies = "    replies: {accepted: {json: {a: [{b: {expr: $shop}}, {expr: '1 +'}]}}}\n"
    assert [p.code for p in check(FEED, FEED + replies)] == ["unknown_variable", "expression_syntax"]


def test_every_expression_of_an_xml_reply_is_looked_at(check: Check) -> None:
    replies = "    replies: {accepted: {xml: {R: {A: {expr: $shop}}}}}\n"
    assert [p.code for p in check(FEED, FEED + replies)] == ["unknown_variable"]


@pytest.mark.parametrize(
    "header", ['"X Kind": a', 'X-Kind: "a\\r\\nSet-Cookie: x=1"', "Transfer-Encoding: chunked", "X-Kind: ä"]
)
def test_a_header_that_would_break_an_answer_is_refused(check: Check, header: str) -> None:
    replies = f"    replies: {{accepted: {{headers: {{{header}}}, text: ok}}}}\n"
    assert [p.code for p in check(FEED, FEED + replies)] == ["reply_header"]


def test_a_literal_page_may_be_html(check: Check) -> None:
    replies = "    replies: {accepted: {headers: {Content-Type: text/html}, text: <p>ok</p>}}\n"
    assert check(FEED, FEED + replies) == []


def test_the_echo_of_a_handshake_stays_plain_text(check: Check) -> None:
    reply = "{headers: {Content-Type: text/csv}, text: {expr: ping}}"
    assert [code for code, _ in handshake(check, GOOD.replace("{empty: true}", reply))] == ["reply_type"]


@pytest.mark.parametrize("path", ["a/{b", "{a}{b}", "x{a}", "{1a}", "a//b", "/a", "a//", "{a}/{a}"])
def test_a_placeholder_is_one_whole_segment_with_a_name_of_its_own(check: Check, path: str) -> None:
    assert [p.code for p in check(FEED, f"{FEED}    path: '{path}'\n")] == ["feed_name"]


def test_placeholders_that_could_answer_one_url_are_told(check: Check) -> None:
    commands = "{c: {command: UpdateStoreStatus, fields: {store_id: shop, status: {value: open}}}}"
    second = f"  other:\n    path: '{{y}}/b'\n    idempotency: {{event_id: [id]}}\n    commands: {commands}\n"
    first = f"feeds:\n{second}  stock:\n    path: 'a/{{x}}'\n"
    assert [p.code for p in check("feeds:\n  stock:\n", first)] == ["same_path"]
