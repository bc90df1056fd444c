"""Golden cases of handshakes and of paths with placeholders, from their folders to what they come to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from flows.golden import Case, cases
from flows.trial import try_request
from tests.engine.invented import KEY, STOCK, interpreter

ONE = interpreter(
    f"""feeds:
  stock:
    method: PUT
    path: stores/{{store}}/stock
    scope: {{store: $request.params.store}}
{STOCK}"""
    """handshakes:
  challenge:
    path: hook
    method: GET
    when: $exists($request.query.challenge)
    auth: none
    reply: {text: {expr: $request.query.challenge}}
"""
)


def case(root: Path, name: str, request: str, body: str = "") -> Case:
    folder = root / "corner" / name / "shown"
    folder.mkdir(parents=True)
    (folder / "request.yaml").write_text(request)
    (root / "corner" / "context.yaml").write_text(f"connection: {{secrets: {{key: {KEY}}}}}\n")
    if body:
        (folder / "body.json").write_text(body)
    [found] = cases(root, {"corner": ONE})
    return found


def test_a_case_of_a_handshake_needs_no_body_and_has_its_method(tmp_path: Path) -> None:
    found = case(tmp_path, "challenge", "query: {challenge: abc}\n")
    trial = try_request(ONE, found.feed, found.signed(ONE), found.context.connection, {})
    assert (found.request.method, trial.verdict, trial.reply.body) == ("GET", "handshake", b"abc")


def test_a_handshake_that_comes_unsigned_is_sent_unsigned(tmp_path: Path) -> None:
    found = case(tmp_path, "challenge", "query: {challenge: abc}\n")
    assert found.signed(ONE).headers == ()


def test_a_case_says_the_segments_of_its_url(tmp_path: Path) -> None:
    found = case(tmp_path, "stock", "params: {store: S 9}\n", '{"id": "e", "items": [{"sku": "a", "qty": "1"}]}')
    trial = try_request(ONE, found.feed, found.signed(ONE), found.context.connection, {}, create=True)
    assert (trial.verdict, trial.reading and trial.reading.scope.store) == ("accepted", "S 9")


def test_a_case_is_sent_to_the_url_of_a_connection_with_its_query(tmp_path: Path) -> None:
    found = case(tmp_path, "stock", "params: {store: S 9}\nquery: {a: b c}\n")
    sent = found.sent_through(ONE, "one", "https://hub.example", datetime(2026, 1, 1, tzinfo=UTC)).request
    assert sent.url == "https://hub.example/v1/integrations/pos/corner/c/one/stores/S%209/stock?a=b+c"
    assert sent.path == "/v1/integrations/pos/corner/c/one/stores/S 9/stock"
