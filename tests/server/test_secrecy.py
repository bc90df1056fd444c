"""A secret that a request carries is in no log, receipt or metric, and in the database only encrypted."""

import logging

import pytest

from flows.logging import configure_logging
from tests.flows.scenery import TOKEN, stored_bytes

URL = "/v1/integrations/seller/gate/import"
DOCUMENT = {"store": "S", "items": [{"sku": "a", "price": "1.00"}]}
WRONG = "wrong-token-3141592653589793"


@pytest.fixture(autouse=True)
def _logging():
    root = logging.getLogger()
    before = root.handlers, root.level
    # The test's own client speaks of its URLs.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    yield
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    root.handlers, root.level = before[0], before[1]


@pytest.mark.parametrize("token", [TOKEN, WRONG])
@pytest.mark.parametrize("place", ["header", "query", "form", "authorization"])
def test_a_token_is_nowhere_in_the_open(running, capfd, token, place):
    configure_logging("debug")
    if place == "header":
        answer = running.client.post(URL, json=DOCUMENT, headers={"x-api-key": token})
    elif place == "query":
        answer = running.client.post(f"{URL}?token={token}", json=DOCUMENT)
    elif place == "form":
        answer = running.client.post(URL, data={"token": token, "store": "S"})
    else:
        answer = running.client.post(URL, json=DOCUMENT, headers={"authorization": f"Bearer {token}"})
    receipt = running.client.get(f"/v1/deliveries/{answer.json()['id']}" if "id" in answer.json() else "/healthz")
    metrics = running.client.get("/metrics")
    running.stop()
    seen = answer.content + receipt.content + metrics.content + stored_bytes(running.settings)
    captured = capfd.readouterr()
    assert token.encode() not in seen + captured.err.encode() + captured.out.encode()


def test_a_fault_is_logged_without_what_it_quotes(running, monkeypatch, capfd):
    def broken(*_):
        raise KeyError("hush-hush payload")

    configure_logging("info")
    monkeypatch.setattr(running.service.providers["gate"].interpreter, "draft", broken)
    answer = running.client.post(URL, json=DOCUMENT, headers={"x-api-key": TOKEN})
    logged = capfd.readouterr().err
    assert answer.json()["id"] in logged
    assert "KeyError" in logged
    assert "hush-hush" not in logged
