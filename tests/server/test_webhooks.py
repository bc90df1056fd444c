"""Webhooks over HTTP, against a real server in a thread."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.flows.scenery import (
    SECRET,
    TOKEN,
    add_connection,
    commands_of,
    deliveries_of,
    ledger_difference,
    signed,
    stock,
)

pytestmark = pytest.mark.usefixtures("everywhere")
URL = "/v1/integrations/pos/acme/webhooks/stock"


def rows(running, state: str | None = None) -> list:
    return deliveries_of(running.settings, state)


def raw_post(running, head: str, body: bytes = b"", path: str = URL) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=20)
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: t\r\n{head}\r\n".encode() + body)
    return connection


def status_of(connection: socket.socket) -> int:
    answer = b""
    while b"\r\n" not in answer:
        part = connection.recv(65536)
        assert part, "the connection was closed without an answer"
        answer += part
    return int(answer.split()[1])


def rest_of(connection: socket.socket) -> bytes:
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer


# ---- the usual way -------------------------------------------------------------------------------


def test_a_signed_webhook_is_accepted_with_its_receipt(running):
    answer = running.post(stock(a="5", b="7"))
    assert answer.status_code == 200
    assert answer.json()["verdict"] == "accepted"
    assert answer.json()["commands"] == 2


def test_accepted_commands_stand_in_the_outbox_or_on_the_bus_when_the_answer_comes(running):
    answer = running.post(stock(a="5", b="7"))
    assert len(commands_of(running.settings, answer.json()["id"])) == 2


def test_the_receipt_can_be_read_without_a_key(running):
    answer = running.post(stock(a="5"))
    receipt = running.client.get(f"/v1/deliveries/{answer.json()['id']}").json()
    assert receipt["state"] == "accepted"
    assert receipt["commands"] == 1


def test_the_receipt_of_a_partial_delivery_names_the_bad_element(running):
    answer = running.post(stock(a="5", b="many"))
    receipt = running.client.get(f"/v1/deliveries/{answer.json()['id']}").json()
    assert (receipt["state"], receipt["results"][0]["element"]) == ("partial", 1)


def test_a_resend_gets_the_duplicate_answer_and_no_new_commands(running):
    first = running.post(stock(a="5"))
    again = running.post(stock(a="5"))
    assert again.json()["verdict"] == "duplicate"
    assert again.json()["duplicate_of"] == first.json()["id"]
    receipt = running.client.get(f"/v1/deliveries/{again.json()['id']}").json()
    assert (receipt["state"], receipt["duplicate_of"]) == ("duplicate", first.json()["id"])
    assert commands_of(running.settings, again.json()["id"]) == []


def test_a_resend_is_a_duplicate_after_a_restart_too(settings, start):
    before = start(settings)
    before.post(stock(a="5"))
    before.stop()
    assert start(settings).post(stock(a="5")).json()["verdict"] == "duplicate"


def test_the_connection_can_stand_in_the_path(running):
    answer = running.post(stock(store="R-9"), path="/v1/integrations/pos/acme/c/one/stock")
    assert answer.json()["verdict"] == "accepted"


def test_the_connection_can_stand_in_the_query(running):
    assert running.post(stock(store="R-9"), path=f"{URL}?connection=one").json()["verdict"] == "accepted"


def test_a_connection_added_by_another_process_is_found(running):
    assert running.post(stock(store="R-2"), secret="a-secret-of-the-tests-0002").status_code == 401
    add_connection(running.settings, "acme", "late", keys=("R-2",), secrets={"key": "a-secret-of-the-tests-0002"})
    running.service.directory._checked = float("-inf")
    assert running.post(stock(store="R-2"), secret="a-secret-of-the-tests-0002").status_code == 200


def test_a_seller_posts_to_import(running):
    answer = running.client.post(
        "/v1/integrations/seller/gate/import", json={"store": "S", "items": []}, headers={"x-api-key": TOKEN}
    )
    assert answer.status_code == 200


def test_a_feed_that_answers_once_persisted_does_its_work_all_the_same(running):
    answer = running.post(stock(a="5"), path="/v1/integrations/pos/acme/webhooks/slow")
    assert answer.json()["verdict"] == "in_flight"
    running.stop()
    assert len(commands_of(running.settings, answer.json()["id"])) == 1


# ---- who may -------------------------------------------------------------------------------------


def test_a_wrong_signature_is_refused_and_quarantined(running):
    answer = running.post(stock(), secret="a-secret-of-somebody-else")
    assert answer.status_code == 401
    [row] = rows(running)
    assert row.quarantined == "signature_mismatch"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-signature": ""},
        {"x-signature": "00"},
        {"x-signature": "zz" * 32},
        {"x-signature": "ÿþ".encode("latin-1")},
        {"x-signature": "0" * 10_000},
    ],
)
def test_a_signature_that_cannot_be_right_is_an_auth_failure(running, headers):
    answer = running.client.post(URL, content=json.dumps(stock()), headers=headers)
    assert answer.status_code == 401


def test_a_provider_file_answers_unauthorized_in_its_own_way(running):
    answer = running.client.post("/v1/integrations/seller/gate/import", json={}, headers={"x-api-key": "wrong-token"})
    assert (answer.status_code, answer.json()) == (403, {"ok": False})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/integrations/pos/nobody/webhooks/stock", 404),
        ("/v1/integrations/erp/acme/webhooks/stock", 404),
        ("/v1/integrations/pos/acme/webhooks/nothing", 404),
        ("/v1/integrations/pos/acme/c/nobody/stock", 401),
        ("/v1/integrations/pos/acme/c/two/stock", 401),
        ("/v1/integrations", 404),
        ("/v1/integrations/%ff/%00", 404),
    ],
)
def test_what_does_not_exist_leaves_no_delivery(running, path, status):
    assert running.post(stock(), path=path).status_code == status
    assert rows(running) == []


def test_another_method_is_refused_with_the_one_that_is_allowed(running):
    answer = running.client.get(URL)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_forged_forwarded_address_does_not_pass_the_allowlist(settings, start):
    add_connection(settings, "acme", "listed", secrets={"key": SECRET}, allow=("203.0.113.0/24",))
    answer = start(settings).post(
        stock(), path="/v1/integrations/pos/acme/c/listed/stock", headers={"x-forwarded-for": "203.0.113.5"}
    )
    assert answer.status_code == 401


def test_the_address_that_a_declared_proxy_saw_does(settings, start):
    add_connection(settings, "acme", "listed", secrets={"key": SECRET}, allow=("203.0.113.0/24",))
    behind = settings.model_copy(update={"trusted_proxies": ("127.0.0.0/8",)})
    answer = start(behind).post(
        stock(),
        path="/v1/integrations/pos/acme/c/listed/stock",
        headers={"x-forwarded-for": "6.6.6.6, 203.0.113.5"},
    )
    assert answer.status_code == 200


def test_quarantine_keeps_the_newest_and_evicts_the_oldest(settings, start):
    running = start(settings.model_copy(update={"quarantine": 3}))
    ids = [running.post(stock(event=f"e-{n}"), secret="wrong-wrong-wrong-wrong").json()["id"] for n in range(5)]
    kept = {row.id for row in rows(running) if row.body}
    assert kept == set(ids[2:])


# ---- how much ------------------------------------------------------------------------------------


def test_a_declared_body_over_the_limit_is_413_before_it_is_sent(running):
    connection = raw_post(running, f"Content-Length: {running.settings.max_body + 1}\r\n")
    assert status_of(connection) == 413


def test_a_streamed_body_over_the_limit_is_413(running):
    def endless():
        for _ in range(running.settings.max_body // 1000 + 2):
            yield b"x" * 1000

    answer = running.client.post(URL, content=endless())
    assert answer.status_code == 413
    assert running.service.gate.held == 0


def test_busy_is_said_before_the_body_is_read(running):
    running.service.gate.hold(running.settings.body_bytes)
    connection = raw_post(running, "Content-Length: 100\r\n")
    answer = rest_of(connection)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 5" in answer.lower()
    assert b"connection: close" in answer.lower()


def test_a_client_that_sends_its_whole_body_still_reads_the_busy_answer(running):
    running.service.gate.hold(running.settings.body_bytes)
    body = b"x" * running.settings.max_body
    connection = raw_post(running, f"Content-Length: {len(body)}\r\n", body)
    assert rest_of(connection).startswith(b"HTTP/1.1 503")


def test_busy_is_answered_in_the_provider_files_own_way(running):
    running.service.gate.hold(running.settings.body_bytes)
    answer = running.client.post("/v1/integrations/seller/gate/import", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_a_full_commit_queue_is_busy(running, monkeypatch):
    monkeypatch.setattr(running.service.journal, "has_room", lambda size: False)
    assert running.post(stock()).status_code == 503
    assert rows(running) == []


def test_large_bodies_are_evaluated_like_small_ones(running):
    document = stock(**{f"sku-{n}": str(n) for n in range(2000)})
    assert len(json.dumps(document)) > running.settings.large_body
    assert running.post(document).json()["commands"] == 2000


# ---- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"event":"e","store":"R-1","items":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"event":"e","store":"R-1","items":[{"sku":"a","qty":' + b"9" * 50_000 + b"}]}",
        b'{"event":"e","store":"R-1","items":[{"sku":"a","qty":NaN}]}',
        b'{"event":"e","store":"R-1","store":"R-1","items":[]}',
        b'{"event":"e","store":"R-1","items":[{"sku":"\\ud800","qty":"1"}]}',
        b'{"event":"e","store":"R-1","items":[{"sku":"a\\u0000b","qty":"1"}]}',
        b'{"event":"\xff","store":"R-1","items":[]}',
        b"\xff\xfe\x00",
        b'{"event":"e","store":"R-1","items":"none"}',
        b'{"event":{},"store":"R-1","items":[null,1,true,[],{}]}',
        b'{"store":"R-1","items":[{"sku":"a","qty":"1"}]}',
    ],
)
def test_a_hostile_body_is_a_failure_with_a_receipt_and_never_a_fault(running, body):
    answer = running.post(body, path="/v1/integrations/pos/acme/c/one/stock")
    assert answer.status_code == 200
    receipt = running.client.get(f"/v1/deliveries/{answer.json()['id']}").json()
    assert receipt["state"] in {"failed", "parked", "accepted", "partial", "ignored"}
    assert not any(f["code"] == "internal_error" for f in answer.json()["failures"])


def test_a_fault_of_ours_fails_the_delivery_and_keeps_it(running, monkeypatch, caplog):
    def broken(*_):
        raise KeyError("hush-hush payload")

    monkeypatch.setattr(running.service.providers["acme"].interpreter, "draft", broken)
    answer = running.post(stock())
    assert answer.status_code == 200
    assert answer.json()["failures"][0]["code"] == "internal_error"
    assert [row.id for row in rows(running)] == [answer.json()["id"]]


def test_a_reply_that_cannot_be_rendered_does_not_take_back_the_work(running, monkeypatch):
    def broken(*_, **__):
        raise KeyError("x")

    monkeypatch.setattr(running.service.providers["acme"].interpreter, "reply", broken)
    assert running.post(stock()).json()["verdict"] == "accepted"


def test_a_failed_delivery_runs_again_on_a_resend(running, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(running.service.providers["acme"].interpreter, "draft", lambda *_: 1 / 0)
        running.post(stock())
    assert running.post(stock()).json()["verdict"] == "accepted"


def test_a_client_that_hangs_up_cancels_nothing(running, monkeypatch):
    interpreter = running.service.providers["acme"].interpreter
    original, entered, leave = interpreter.draft, threading.Event(), threading.Event()

    def slow(reading):
        entered.set()
        assert leave.wait(20)
        return original(reading)

    monkeypatch.setattr(interpreter, "draft", slow)
    body = json.dumps(stock(**{f"sku-{n}": str(n) for n in range(2000)})).encode()
    head = "".join(f"{k}: {v}\r\n" for k, v in signed(body).items())
    connection = raw_post(running, f"{head}Content-Length: {len(body)}\r\n", body)
    assert entered.wait(20)
    connection.close()
    leave.set()
    running.stop()
    [row] = rows(running)
    assert len(commands_of(running.settings, row.id)) == 2000


# ---- at once -------------------------------------------------------------------------------------


def test_two_identical_requests_at_once_give_one_set_of_commands(running, monkeypatch):
    interpreter = running.service.providers["acme"].interpreter
    original, barrier = interpreter.draft, threading.Barrier(2)
    document = stock(**{f"sku-{n}": str(n) for n in range(2000)})

    def together(reading):
        barrier.wait(20)
        return original(reading)

    monkeypatch.setattr(interpreter, "draft", together)
    with ThreadPoolExecutor(2) as pool:
        answers = [f.result().json() for f in [pool.submit(running.post, document) for _ in range(2)]]
    assert sorted(answer["verdict"] for answer in answers) == ["accepted", "duplicate"]
    assert sum(len(commands_of(running.settings, row.id)) for row in rows(running)) == 2000


def test_a_resend_while_the_first_is_worked_on_gives_one_set_of_commands(running, monkeypatch):
    interpreter = running.service.providers["acme"].interpreter
    original, entered, leave = interpreter.draft, threading.Event(), threading.Event()
    document = stock(**{f"sku-{n}": str(n) for n in range(2000)})

    def first_waits(reading):
        if not entered.is_set():
            entered.set()
            assert leave.wait(20)
        return original(reading)

    monkeypatch.setattr(interpreter, "draft", first_waits)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(running.post, document)
        assert entered.wait(20)
        second = running.post(document).json()
        leave.set()
        verdicts = {first.result().json()["verdict"], second["verdict"]}
    assert verdicts == {"accepted", "duplicate"}
    assert ledger_difference(running.settings) == 0
