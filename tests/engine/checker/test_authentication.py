"""What the checker says about `auth`, by the examples of schemas/diagnostics.yaml and beyond them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import schemas
from engine import checker
from schemas.diagnostics import Diagnostic, diagnostics

CODES = (
    "none_beside_others", "address_alone", "secret_is_public_id", "key_does_not_fit", "unknown_key_selector",
    "hash_without_secret", "secret_not_hashed", "secret_in_recipe", "body_not_signed", "signed_time_unchecked",
    "signer_not_pinned", "issued_never", "issue_without_use", "login_without_auth", "token_not_answered",
    "no_replay_protection", "timestamp_not_signed", "parser_missing", "take_missing", "prefix_holds_separator",
    "secret_name", "one_location", "unknown_scheme",
)  # fmt: skip
EXAMPLES = [one for one in diagnostics() if one.code in CODES]
AUTH = "auth: {scheme: token, header: X-Key, secret: key}"
Found = Callable[..., list[tuple[str, int, int]]]


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.code)
def test_the_example_of_a_diagnostic_shows_it(one: Diagnostic) -> None:
    found = {(p.code, p.severity) for p in checker.check(one.file, "corner.yaml", schemas.canon())}
    assert (one.code, one.severity) in found


def test_every_code_has_an_example() -> None:
    assert {one.code for one in EXAMPLES} == set(CODES)


def codes(found: Found, auth: str) -> set[str]:
    return {code for code, _, _ in found(AUTH, f"auth: {auth}")}


SIGNED = "scheme: hmac, algorithm: sha256, secret: key, signature: {header: X-Signature}"


@pytest.mark.parametrize(
    "auth",
    [
        "{all: [{scheme: address, allow: [203.0.113.0/24]}, {scheme: token, header: X-Key, secret: key}]}",
        f"{{{SIGNED}, sign: [{{header: X-Timestamp}}, raw_body], timestamp: {{header: X-Timestamp}}}}",
        f"{{{SIGNED}, sign: [{{join: [{{header: X-T}}, raw_body], between: .}}], timestamp: {{header: x-t}}}}",
        "{scheme: jwt, header: X-Token, algorithm: ES256, key: pem, secret: key, tolerance: 5m}",
        "{scheme: ecdsa, secret: key, sign: [raw_body, {body: at}], signature: {header: S}, timestamp: {body: at}}",
        "{scheme: message_signature, algorithm: ed25519, cover: [content-digest], secret: key}",
    ],
)
def test_nothing_is_said_about_authentication_that_is_sound(found: Found, auth: str) -> None:
    assert codes(found, auth) == set()


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ("{scheme: message_signature, algorithm: hmac-sha256, cover: [content-digest], secret: key}",
         "key_does_not_fit"),
        ("{scheme: message_signature, algorithm: ed25519, cover: ['@method'], secret: key}", "body_not_signed"),
        ("{scheme: hmac, algorithm: md5, secret: key, signature: {header: S}}", "wrong_value"),
        ("{scheme: hmac, algorithm: sha256, key: pem, secret: key, signature: {header: S}}", "wrong_value"),
        ("{scheme: rsa, algorithm: sha256, key: utf8, secret: key, signature: {header: S}}", "wrong_value"),
        ("{scheme: address, allow: [203.0.113.0/99]}", "wrong_value"),
        ("{scheme: address, allow: []}", "wrong_value"),
        ("{scheme: rsa, algorithm: sha1, secret: {certificate: {body: u}, hosts: ['*.com']}, signature: {body: s}}",
         "host_pattern"),
        ("{scheme: rsa, algorithm: sha1, secret: {certificate: {body: u}, hosts: []}, signature: {body: s}}",
         "wrong_value"),
        ("{scheme: jwt, header: X, raw_body: true, secret: key, tolerance: 5m}", "one_location"),
        ("{scheme: ed2551, secret: key, signature: {header: S}}", "unknown_scheme"),
        ("{scheme: ed25519, secret: {keyring: 'a/b', by: {header: K}}, signature: {header: S}}", "wrong_value"),
        ("{scheme: hmac, algorithm: sha256, secret: key, sign: [body], signature: {header: S}}", "wrong_value"),
        ("{any: [{all: [{scheme: none}, {scheme: token, header: X-Key, secret: key}]}]}", "none_beside_others"),
    ],
)  # fmt: skip
def test_a_misuse_is_told(found: Found, auth: str, code: str) -> None:
    assert code in codes(found, auth)


def test_a_file_may_say_that_its_provider_signs_no_time(found: Found) -> None:
    signed = "{scheme: hmac, algorithm: sha256, secret: key, signature: {header: S}%s}"
    assert codes(found, signed % "") == {"no_replay_protection"}
    assert codes(found, signed % ", timestamp: none") == set()


def test_the_auth_of_a_feed_is_checked_too(found: Found) -> None:
    auth = "    auth: {any: [{scheme: none}, {scheme: token, header: X-Key, secret: key}]}\n"
    assert [(code, line) for code, line, _ in found("    scope:", f"{auth}    scope:")] == [("none_beside_others", 10)]


def test_a_token_in_any_part_of_the_reply_is_answered(found: Found) -> None:
    login = (
        "feeds:\n  login:\n    auth: {scheme: token, header: X-Key, secret: key}\n    idempotency: none\n"
        "    issue: {secret: session, lifetime: 1h}\n    replies: {accepted: {json: {data: {token: {expr: %s}}}}}\n"
    )
    told = {token: {code for code, _, _ in found("feeds:\n", login % token)} for token in ("$issued.token", "x")}
    assert "token_not_answered" not in told["$issued.token"]
    assert "token_not_answered" in told["x"]
