"""Logins and fetched certificates, over HTTP."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from flows.certificates import CertificateUnavailable
from tests.engine.auth_cases import KEYS, certificate
from tests.flows.scenery import add_connection, deliveries_of, stored_bytes
from tests.server.conftest import Running

HEAD = """
spec: tiffin/v1
title: Depot
revision: 1
evidence: assumed
family: erp
defaults: {unit: each}
unmapped: {store: create}
"""
RULES = """
    scope: {store: store}
    idempotency: {event_id: [id]}
    commands: {stock: {command: UpdateStockLevel, each: items, fields: {item_id: sku, quantity: qty}}}
"""
DEPOT = f"""{HEAD}provider: depot
auth: {{scheme: issued, header: apiKey, secret: session}}
feeds:
  login:
    auth: {{all: [{{scheme: token, form: user, secret: user}}, {{scheme: token, form: password, secret: password}}]}}
    idempotency: none
    issue: {{secret: session, lifetime: 1h}}
    replies:
      accepted: {{json: {{expr: '{{"token": $issued.token, "expiresIn": $issued.expires_in}}'}}}}
      unauthorized: {{status: 401, json: {{error: who are you}}}}
  stock:{RULES}"""
TOPIC = f"""{HEAD}provider: topic
auth:
  all:
    - {{scheme: token, body: TopicArn, secret: topic}}
    - scheme: rsa
      algorithm: sha256
      sign: [{{lines: [id, TopicArn]}}]
      secret: {{certificate: {{body: SigningCertURL}}, hosts: [certs.example.org]}}
      signature: {{body: Signature, encoding: base64}}
feeds:
  stock:{RULES}"""
URL = "https://certs.example.org/a.pem"
ARN = "arn:aws:sns:eu-west-1:000000000000:stock"
LOGIN = {"user": "integrator", "password": "open sesame please"}
STOCK = {"id": "1", "store": "S", "items": [{"sku": "a", "qty": "5"}]}


class Fetched:
    """Stands for the fetching of certificates. `fails`: the host cannot be reached."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held: dict[str, bytes] = {}
        self.fails = False

    async def fetch(self, url: str) -> None:
        self.asked.append(url)
        if self.fails:
            raise CertificateUnavailable("away")
        self.held[url] = certificate_of_today()


def certificate_of_today() -> bytes:
    from datetime import UTC, datetime, timedelta

    return certificate(begin=datetime.now(UTC) - timedelta(days=1))


@pytest.fixture
def depot(settings: Any, start: Any) -> Running:
    for name, file in (("depot", DEPOT), ("topic", TOPIC)):
        (settings.providers / f"{name}.yaml").write_text(file)
    secrets = {**LOGIN, "session": "a session secret of more than 32 characters"}
    add_connection(settings, "depot", "depot-one", secrets=secrets)
    add_connection(settings, "topic", "topic-one", secrets={"topic": ARN})
    running = start(settings)
    running.service.receiver.certificates = Fetched()
    return running


def login(running: Running, **changed: str) -> Any:
    return running.client.post("/v1/integrations/erp/depot/webhooks/login", data={**LOGIN, **changed})


def push(running: Running, token: str) -> Any:
    return running.client.post("/v1/integrations/erp/depot/webhooks/stock", json=STOCK, headers={"apiKey": token})


def test_a_token_of_the_login_opens_the_other_feeds(depot: Running) -> None:
    answer = login(depot)
    assert (answer.status_code, answer.json()["expiresIn"]) == (200, "3600")
    assert push(depot, answer.json()["token"]).status_code == 200
    assert [row.state for row in deliveries_of(depot.settings)] == ["accepted"]


def test_a_login_is_no_delivery_and_leaves_nothing_behind(depot: Running) -> None:
    token = login(depot).json()["token"]
    assert login(depot, password="not this one").json() == {"error": "who are you"}
    assert deliveries_of(depot.settings) == []
    stored = stored_bytes(depot.settings)
    assert token.encode() not in stored
    assert b"sesame" not in stored
    assert b"not this one" not in stored


def test_a_wrong_login_gets_no_token(depot: Running) -> None:
    answer = login(depot, password="not this one")
    assert (answer.status_code, answer.json()) == (401, {"error": "who are you"})


def test_the_logins_own_secrets_do_not_open_the_other_feeds(depot: Running) -> None:
    assert push(depot, "integrator").status_code == 401
    assert push(depot, login(depot).json()["token"][:-3]).status_code == 401


# ---- certificates ----


def message(**changed: Any) -> bytes:
    text = f"id\n1\nTopicArn\n{ARN}\n".encode()
    signature = KEYS["rsa"].sign(text, padding.PKCS1v15(), hashes.SHA256())
    signed = {"TopicArn": ARN, "SigningCertURL": URL, "Signature": base64.b64encode(signature).decode()}
    return json.dumps({**STOCK, **signed, **changed}).encode()


def publish(running: Running, body: bytes) -> int:
    path = "/v1/integrations/erp/topic/webhooks/stock"
    return int(running.client.post(path, content=body, headers={"content-type": "text/plain"}).status_code)


def test_a_certificate_is_fetched_once_and_verifies(depot: Running) -> None:
    fetched = depot.service.receiver.certificates
    assert publish(depot, message()) == 200
    assert publish(depot, message(items=[])) == 200
    assert fetched.asked == [URL]


def test_a_message_with_another_signature_is_quarantined(depot: Running) -> None:
    assert publish(depot, message(id="2")) == 401
    assert [row.quarantined for row in deliveries_of(depot.settings)] == ["signature_mismatch"]


def test_a_sender_is_asked_to_come_again_while_the_certificate_cannot_be_fetched(depot: Running) -> None:
    fetched = depot.service.receiver.certificates
    fetched.fails = True
    assert publish(depot, message()) == 503
    assert deliveries_of(depot.settings) == []
    fetched.fails = False
    assert publish(depot, message()) == 200


@pytest.mark.parametrize("url", ["https://evil.example/a.pem", "http://certs.example.org/a.pem", "https://10.0.0.1/a"])
def test_nothing_is_fetched_from_a_host_that_the_file_does_not_name(depot: Running, url: str) -> None:
    assert publish(depot, message(SigningCertURL=url)) == 401
    assert depot.service.receiver.certificates.asked == []


def test_nothing_is_fetched_for_a_topic_that_is_not_ours(depot: Running) -> None:
    assert publish(depot, message(TopicArn="arn:aws:sns:eu-west-1:111111111111:other")) == 401
    assert depot.service.receiver.certificates.asked == []
