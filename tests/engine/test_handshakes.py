from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.handshakes import BODY_LIMIT, TEXT_LIMIT, host_allowed, secret_names_of
from flows.trial import body_of
from tests.engine.invented import CONNECTION, KEY, STOCK, interpreter, stock, tried

FEED = f"feeds:\n  stock:\n{STOCK}"
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
TEXT = (("Content-Type", "text/plain; charset=UTF-8"),)

CHALLENGE = interpreter(
    FEED
    + """\
handshakes:
  challenge:
    method: GET
    when: $exists($request.query.challenge)
    auth: none
    reply: {text: {expr: $request.query.challenge}}
  hashed:
    path: proof
    method: GET
    when: $exists($request.query.challenge_code)
    auth: none
    hash: {algorithm: sha256, of: [{query: challenge_code}, {secret: proof}, endpoint]}
    reply: {json: {challengeResponse: {expr: $hash}}}
  keyed:
    path: keyed
    when: event = "url.validation"
    auth: none
    hash: {algorithm: sha256, key: proof, of: [{body: token}], encoding: base64}
    reply: {json: {token: {expr: token}, answer: {expr: '"sha256=" & $hash'}}}
"""
)
CODES = interpreter(
    FEED
    + """\
handshakes:
  code:
    when: $exists(verificationCode)
    auth: none
    show: {verification code: verificationCode}
    reply: {empty: true}
  ping:
    accept: form
    when: $exists(webhook_id) and $count($keys($)) = 1
    auth: none
    reply: {empty: true}
  confirmation:
    path: topic
    content_type: text/plain
    when: Type = "SubscriptionConfirmation"
    auth: none
    show: {open: {from: SubscribeURL, hosts: ["sns.*.example.com"]}}
    reply: {empty: true}
  register:
    path: register
    when: status = "register"
    reply:
      json:
        status: {expr: status}
        menuUpdateURL: {expr: $urls.feeds.stock}
        home: {expr: $urls.public}
  test:
    when: eventName = "TestMessage"
    reply: {status: 204, empty: true}
"""
)


def confirmed(url: str):
    body = orjson.dumps({"Type": "SubscriptionConfirmation", "SubscribeURL": url})
    return tried(CODES, "confirmation", body, headers=TEXT)


# ---- what they answer ----------------------------------------------------------------------------------


def test_a_challenge_by_get_is_echoed_as_plain_text():
    trial = tried(CHALLENGE, "challenge", query=(("challenge", "kj-23.Ab"),))
    assert (trial.verdict, trial.reply.status, trial.reply.body) == ("handshake", 200, b"kj-23.Ab")
    assert dict(trial.reply.headers) == {"content-type": "text/plain; charset=utf-8"}


def test_a_challenge_is_answered_with_the_hash_of_challenge_token_and_endpoint():
    trial = tried(CHALLENGE, "hashed", query=(("challenge_code", "c0de"),))
    endpoint = "https://tiffin.example/v1/integrations/pos/corner/webhooks/proof"
    expected = hashlib.sha256(b"c0de" + CONNECTION.secrets["proof"][0] + endpoint.encode()).hexdigest()
    assert body_of(trial.reply) == {"challengeResponse": expected}


def test_a_keyed_hash_is_an_hmac_with_the_connections_secret():
    trial = tried(CHALLENGE, "keyed", {"event": "url.validation", "token": "t-1"})
    digest = hmac.digest(CONNECTION.secrets["proof"][0], b"t-1", "sha256")
    import base64

    expected = f"sha256={base64.b64encode(digest).decode()}"
    assert body_of(trial.reply) == {"token": "t-1", "answer": expected}


def test_a_hash_without_its_secret_is_refused_and_says_what_to_do():
    trial = tried(CHALLENGE, "hashed", query=(("challenge_code", "c"),), connection=replace(CONNECTION, secrets={}))
    assert (trial.verdict, trial.reply.status) == ("rejected", 400)
    assert trial.outcome.failures[0].code == "handshake_unanswerable"
    assert "proof" in trial.outcome.failures[0].message


def test_the_secrets_of_hashes_are_secrets_of_the_connection():
    assert secret_names_of(CHALLENGE.provider) == {"proof"}


def test_a_verification_code_is_shown_and_the_answer_is_empty():
    trial = tried(CODES, "code", {"verificationCode": "3f9e-77"})
    assert (trial.verdict, trial.handshake, trial.shown) == ("handshake", "code", {"verification code": "3f9e-77"})
    assert (trial.reply.status, trial.reply.body) == (200, b"")


def test_a_form_ping_at_the_url_of_a_json_feed_is_a_handshake():
    trial = tried(CODES, "stock", b"webhook_id=17", headers=FORM)
    assert (trial.verdict, trial.handshake, trial.feed) == ("handshake", "ping", "stock")


def test_a_registration_is_answered_with_the_urls_of_the_feeds():
    trial = tried(CODES, "register", {"status": "register"}, headers=(("X-Key", KEY),), verify=True)
    url = "https://tiffin.example/v1/integrations/pos/corner/c/con/stock"
    assert body_of(trial.reply) == {"status": "register", "menuUpdateURL": url, "home": "https://tiffin.example"}


def test_a_signed_handshake_that_does_not_verify_is_unauthorized():
    trial = tried(CODES, "test", {"eventName": "TestMessage"}, headers=(("X-Key", "wrong"),), verify=True)
    assert (trial.verdict, trial.reply.status) == ("unauthorized", 401)


def test_a_test_message_gets_its_status_without_a_body():
    trial = tried(CODES, "test", {"eventName": "TestMessage"}, headers=(("X-Key", KEY),), verify=True)
    assert (trial.verdict, trial.reply.status, trial.reply.body) == ("handshake", 204, b"")


def test_an_address_to_open_is_shown_when_its_host_is_allowed():
    url = "https://sns.eu-west-1.example.com/?Action=ConfirmSubscription&Token=abc"
    assert confirmed(url).shown == {"open": url}


# ---- what is none --------------------------------------------------------------------------------------


def test_a_delivery_at_the_url_of_handshakes_stays_a_delivery():
    trial = tried(CODES, "stock", stock(a="5"))
    assert (trial.verdict, len(trial.outcome.commands)) == ("accepted", 1)


@pytest.mark.parametrize(
    ("name", "body", "headers"),
    [
        ("ping", b"webhook_id=17", (("Content-Type", "text/plain"),)),
        ("ping", b"webhook_id=17", ()),
        ("ping", b"webhook_id=17&more=1", FORM),
        ("ping", b"webhook_id=%zz", FORM),
        ("code", b'{"verificationCode": "1"}', TEXT),
        ("code", b"[]", (("Content-Type", "application/json"),)),
        ("code", b"not json", (("Content-Type", "application/json"),)),
        ("code", b'{"verificationCode": "1"}', (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))),
        ("confirmation", b'{"Type": "SubscriptionConfirmation"}', (("Content-Type", "application/json"),)),
        ("code", b'{"verificationCode": "' + b"1" * BODY_LIMIT + b'"}', (("Content-Type", "application/json"),)),
    ],
)
def test_what_does_not_fit_exactly_is_no_handshake(name: str, body: bytes, headers: tuple[Any, ...]):
    trial = tried(CODES, name, body, headers=headers)
    assert trial.outcome.failures[0].code == "handshake_not_met"


def test_a_get_with_a_body_is_no_challenge():
    trial = tried(CHALLENGE, "challenge", b"{}", query=(("challenge", "a"),))
    assert trial.outcome.failures[0].code == "handshake_not_met"


def test_a_when_that_is_not_true_itself_is_not_met():
    one = interpreter(FEED + "handshakes: {ping: {when: ping, auth: none, reply: {empty: true}}}")
    assert tried(one, "ping", {"ping": "yes"}).verdict == "rejected"
    assert tried(one, "ping", {"ping": True}).verdict == "handshake"


# ---- what is hostile -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile", ["a\r\nSet-Cookie: x=1", "a\x00b", "\x1b[2J", "a\u2028b", "a\u0085b", "x" * (TEXT_LIMIT + 1)]
)
def test_an_echo_of_controls_or_of_too_much_is_refused(hostile: str):
    trial = tried(CHALLENGE, "challenge", query=(("challenge", hostile),))
    assert (trial.verdict, trial.reply.status) == ("rejected", 400)
    assert orjson.loads(trial.reply.body)["problem"]["code"] == "handshake_unanswerable"


@pytest.mark.parametrize("hostile", ["a\nb", "\x1b[2J", "", "x" * (TEXT_LIMIT + 1), None, {"a": "b"}, ["1", "2"]])
def test_what_is_no_short_text_is_never_shown(hostile: Any):
    trial = tried(CODES, "code", {"verificationCode": hostile})
    assert (trial.verdict, trial.shown) == ("rejected", {})


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.example.com/",
        "https://sns.eu-west-1.example.com.evil.test/",
        "https://evil.test/?sns.eu-west-1.example.com",
        "https://sns.eu-west-1.example.com@evil.test/",
        "https://evil.test\\@sns.eu-west-1.example.com/",
        "https://sns.a.b.example.com/",
        "https://sns.eu-west-1.example.com:8443/",
        "https://sns.eu-west-1.example.com:port/",
        "https://[::1/",
        "javascript://sns.eu-west-1.example.com/%0aalert(1)",
        "//sns.eu-west-1.example.com/",
        "https://sns.eu-west-1.ехample.com/",
        "",
    ],
)
def test_an_address_of_another_host_is_refused_and_not_shown(url: str):
    trial = confirmed(url)
    assert (trial.verdict, trial.shown, trial.reply.status) == ("rejected", {}, 400)


@given(st.text(max_size=60))
def test_no_text_is_taken_for_an_allowed_address_without_naming_the_host(text: str):
    assert not host_allowed(text, ("hooks.example.com",)) or "hooks.example.com" in text.lower()


@given(st.text(max_size=40))
def test_whatever_the_challenge_the_answer_is_the_echo_or_a_refusal(challenge: str):
    trial = tried(CHALLENGE, "challenge", query=(("challenge", challenge),))
    assert trial.reply.body == challenge.encode() if trial.verdict == "handshake" else trial.reply.status == 400


@given(st.binary(max_size=80))
def test_whatever_the_body_there_is_a_verdict(body: bytes):
    for headers in (FORM, TEXT, (("Content-Type", "application/json"),)):
        assert tried(CODES, "confirmation", body, headers=headers).verdict in ("handshake", "rejected")


def test_an_answer_quotes_nothing_of_a_secret():
    trial = tried(CHALLENGE, "hashed", query=(("challenge_code", "c"), ("challenge_code", "d")))
    assert trial.verdict == "rejected"
    assert CONNECTION.secrets["proof"][0] not in trial.reply.body
