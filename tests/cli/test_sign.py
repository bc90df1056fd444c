"""`tiffin provider sign` for schemes with shared secrets, private keys and keyrings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import tiffin
from tests.engine.auth_cases import KEYS, private_pem, public_pem

FILE = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: official
auth: AUTH
feeds:
  stock:
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands: {stock: {command: UpdateStockLevel, each: items, fields: {item_id: id, quantity: qty}}}
"""
SHARED = "00112233445566778899aabbccddeeff"
RSA = "{scheme: rsa, algorithm: sha256, secret: key, signature: {header: X-Signature, encoding: base64}}"
MESSAGE = """{scheme: message_signature, algorithm: ed25519, cover: [content-digest],
  secret: {keyring: keys, by: {signature: keyid}}}"""
JWT = "{scheme: jwt, header: X-Token, secret: key, issuer: corner, tolerance: 5m}"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(tiffin, ["provider", *arguments])
    return result.exit_code, result.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "body.json").write_text('{"shop": "S", "id": "1", "items": [{"id": "a", "qty": "5"}]}')
    for family in KEYS:
        (tmp_path / f"{family}.key").write_bytes(private_pem(family))
        (tmp_path / f"{family}.pub").write_bytes(public_pem(KEYS[family]))
    return tmp_path


@pytest.mark.parametrize(
    ("auth", "private", "public"),
    [
        (RSA, "key=@rsa.key", "key=@rsa.pub"),
        (MESSAGE, "keys/k1=@ed25519.key", "keys/k1=@ed25519.pub"),
        (JWT, f"key={SHARED}", f"key={SHARED}"),
    ],
    ids=["rsa", "message_signature", "jwt"],
)
def test_the_printed_headers_verify(
    folder: Path, monkeypatch: pytest.MonkeyPatch, auth: str, private: str, public: str
) -> None:
    monkeypatch.chdir(folder)
    Path("corner.yaml").write_text(FILE.replace("AUTH", auth))
    common = ["corner.yaml", "--feed", "stock", "--body", "body.json"]
    status, told = run("sign", *common, "--secret", private, "--url", "https://tiffin.example", "--json")
    assert status == 0, told
    headers = [part for name, value in json.loads(told).items() for part in ("--header", f"{name}: {value}")]
    status, told = run("try", *common, *headers, "--secret", public, "--json")
    assert (status, json.loads(told)["verdict"]) == (0, "accepted")
    status, told = run("try", *common, "--secret", public, "--json")
    assert json.loads(told)["verdict"] == "unauthorized"


def test_a_key_that_is_no_private_one_is_told_and_not_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    Path("corner.yaml").write_text(FILE.replace("AUTH", RSA))
    result = CliRunner().invoke(
        tiffin,
        ["provider", "sign", "corner.yaml", "--feed", "stock", "--body", "body.json", "--secret", f"key={SHARED}"],
    )
    told = result.output + str(result.exception)
    assert result.exit_code == 1
    assert "no private key for rsa" in told
    assert SHARED not in told
