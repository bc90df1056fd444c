from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from engine.json_web_tokens import issue
from tests.engine.auth_cases import KEYS, NOW, SECRET, SECRETS, code, private_pem, public_pem, request

SECONDS = int(NOW.timestamp())
JWT = {"scheme": "jwt", "header": "X-Api-Token", "secret": "key", "issuer": "acme", "tolerance": "5m"}
CLAIMS = {"iss": "acme", "iat": SECONDS}


def token(claims: Any = None, key: Any = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    return jwt.encode({**(CLAIMS if claims is None else claims), **changed}, key, algorithm=algorithm)


def judged(value: str | bytes, auth: dict[str, Any] = JWT, **headers: str) -> str:
    return code(auth, request(headers={"X-Api-Token": value, **headers}))


def test_a_fresh_token_of_the_issuer_verifies() -> None:
    assert judged(token()) == ""


def test_a_token_of_another_secret_does_not_match() -> None:
    assert judged(token(key=b"another secret of some length...")) == "token_mismatch"


def test_every_value_of_the_secret_is_tried() -> None:
    sent = request(headers={"X-Api-Token": token()})
    assert code(JWT, sent, {"key": (b"a newer secret of some length...", SECRET)}) == ""


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"iss": "other"}, "token_mismatch"),
        ({"iat": SECONDS - 301}, "timestamp_outside_tolerance"),
        ({"iat": SECONDS + 61}, "timestamp_outside_tolerance"),
        ({"iat": "soon"}, "timestamp_malformed"),
        ({"iat": -1}, "timestamp_malformed"),
        ({"iat": 10**30}, "timestamp_malformed"),
        ({"exp": SECONDS - 60}, "token_expired"),
        ({"exp": SECONDS - 59}, ""),
        ({"exp": "never"}, "timestamp_malformed"),
        ({"exp": None}, "timestamp_malformed"),
        ({"nbf": SECONDS + 61}, "timestamp_outside_tolerance"),
        ({"nbf": SECONDS + 60}, ""),
    ],
)
def test_claims_are_held_to_when_the_request_came(changed: dict[str, Any], expected: str) -> None:
    assert judged(token(**changed)) == expected


def test_a_token_without_iat_is_refused_where_its_age_counts() -> None:
    assert judged(token({"iss": "acme"})) == "timestamp_missing"


@pytest.mark.parametrize(
    ("aud", "expected"), [("us", ""), (["x", "us"], ""), ("them", "token_mismatch"), (None, "token_mismatch")]
)
def test_the_audience_must_hold_ours(aud: Any, expected: str) -> None:
    assert judged(token(aud=aud) if aud else token(), {**JWT, "audience": "us"}) == expected


@pytest.mark.parametrize(("sent", "expected"), [("acme", ""), ("other", "token_mismatch"), ("", "token_mismatch")])
def test_the_issuer_may_stand_in_another_header(sent: str, expected: str) -> None:
    auth = {**JWT, "issuer": {"header": "X-Api-Key"}}
    assert judged(token(), auth, **{"X-Api-Key": sent}) == expected


def unsigned(header: dict[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in (header, CLAIMS))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


@pytest.mark.parametrize(
    "value",
    [
        unsigned({"alg": "none"}),
        unsigned({"alg": "HS512"}),
        token(algorithm="HS512"),
        token()[:-1] + "é",
        token().rsplit(".", 1)[0],
        "a.b",
        "a.b.c.d",
        "...",
        "é.é.é",
        b"\xff\xfe.\x00.x",
        base64.urlsafe_b64encode(b"[" * 4000).decode() + ".e30.AA",
        "x" * 9000,
    ],
)
def test_a_token_of_another_algorithm_or_form_is_malformed(value: str | bytes) -> None:
    assert judged(value) == "token_malformed"


def test_a_public_key_never_passes_for_a_shared_secret() -> None:
    pem = public_pem(KEYS["rsa"])
    auth = {**JWT, "algorithm": "RS256", "key": "pem"}
    header, claims = (
        base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in ({"alg": "HS256"}, CLAIMS)
    )
    import hashlib
    import hmac

    mac = hmac.new(pem, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    forged = f"{header}.{claims}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    assert code(auth, request(headers={"X-Api-Token": forged}), {"key": (pem,)}) == "token_malformed"


@pytest.mark.parametrize(("algorithm", "family"), [("RS256", "rsa"), ("ES256", "ecdsa"), ("EdDSA", "ed25519")])
def test_a_token_is_verified_with_a_public_key(algorithm: str, family: str) -> None:
    auth = {**JWT, "algorithm": algorithm, "key": "pem"}
    secrets = {"key": (public_pem(KEYS[family]),)}
    sent = request(headers={"X-Api-Token": token(key=private_pem(family), algorithm=algorithm)})
    assert code(auth, sent, secrets) == ""
    other = token(key=private_pem(family), algorithm=algorithm, iss="acmf")
    assert code(auth, request(headers={"X-Api-Token": other}), secrets) == "token_mismatch"


def test_the_body_itself_may_be_the_token() -> None:
    auth = {"scheme": "jwt", "raw_body": True, "secret": "key", "tolerance": "5m"}
    assert code(auth, request(token().encode())) == ""
    assert code(auth, request(f'"{token()}"\n'.encode())) == ""
    assert code(auth, request(b"")) == "token_missing"
    assert code(auth, request(b"{}")) == "token_malformed"


def test_a_repeated_token_is_refused() -> None:
    sent = request()
    twice = sent.__class__(**{**sent.__dict__, "headers": ((b"x-api-token", token().encode()),) * 2})
    assert code(JWT, twice) == "token_mismatch"


# ---- issued tokens ----

ISSUED = {"scheme": "issued", "header": "apiKey", "secret": "key"}


def presented(value: str, seconds: int = 0) -> str:
    return code(ISSUED, request(headers={"apiKey": value}, at=NOW + timedelta(seconds=seconds)))


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, ""), (3599, ""), (3600, "token_expired"), (10**7, "token_expired")]
)
def test_an_issued_token_holds_for_its_lifetime(seconds: int, expected: str) -> None:
    assert presented(issue("key", 3600, SECRETS, NOW).token, seconds) == expected


def test_the_same_moment_gives_the_same_token() -> None:
    assert issue("key", 60, SECRETS, NOW) == issue("key", 60, SECRETS, NOW)


def test_a_token_issued_with_the_older_secret_holds_while_that_does() -> None:
    old = issue("key", 60, {"key": (b"an older secret of some length..",)}, NOW).token
    both = {"key": (SECRET, b"an older secret of some length..")}
    assert code(ISSUED, request(headers={"apiKey": old}), both) == ""
    assert presented(old) == "token_mismatch"


def test_a_token_made_with_the_secret_itself_is_no_issued_one() -> None:
    assert presented(token(exp=SECONDS + 60)) == "token_mismatch"


@pytest.mark.parametrize("at", range(0, 120, 7))
def test_an_issued_token_with_one_character_changed_is_refused(at: int) -> None:
    made = issue("key", 60, SECRETS, NOW).token
    at %= len(made) - 1
    changed = made[:at] + ("A" if made[at] != "A" else "B") + made[at + 1 :]
    assert presented(changed) in ("token_mismatch", "token_malformed")
