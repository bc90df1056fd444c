"""Handshakes, placeholders and fixed paths over HTTP, against a real server in a thread."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from cli.main import tiffin
from flows.settings import Settings
from stores import tables
from tests.flows.scenery import add_connection, commands_of, database, deliveries_of, ledger_difference

CORNER = """
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: assumed
auth: {scheme: token, header: X-Key, secret: key}
unmapped: {store: create}
handshakes:
  challenge:
    method: GET
    when: $exists($request.query.challenge)
    auth: none
    reply: {text: {expr: $request.query.challenge}}
  proof:
    path: proof
    method: GET
    when: $exists($request.query.code)
    auth: none
    hash: {algorithm: sha256, of: [{query: code}, {secret: proof}, endpoint]}
    reply: {json: {answer: {expr: $hash}}}
  code:
    when: $exists(verificationCode)
    auth: none
    show: {verification code: verificationCode}
    reply: {empty: true}
  ping:
    accept: form
    when: $exists(webhook_id)
    auth: none
    reply: {empty: true}
  register:
    path: register
    when: status = "register"
    reply: {json: {menuUpdateURL: {expr: $urls.feeds.stock}}}
feeds:
  stock:
    path: api/v2/updateInventory
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands: &stock
      stock: {command: UpdateStockLevel, each: items, fields: {item_id: sku, quantity: qty}}
  of-store:
    method: PUT
    path: stores/{store}/stock
    scope: {store: $request.params.store}
    idempotency: {event_id: [id]}
    commands: *stock
  slow:
    ack: persisted
    scope: {store: shop}
    idempotency: {event_id: [id]}
    commands: *stock
    replies: {accepted: {status: 202, json: {trace: {expr: $request.headers.`x-trace`}, id: {expr: $receipt.id}}}}
"""
KEY = "key-of-the-tests-00001"
PROOF = "a-proof-of-thirty-two-characters"
BASE = "/v1/integrations/pos/corner"
STOCK = f"{BASE}/webhooks/api/v2/updateInventory"
MESSAGE = {"id": "e-1", "shop": "S-1", "items": [{"sku": "a", "qty": "5"}]}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "providers"
    folder.mkdir()
    (folder / "corner.yaml").write_text(CORNER)
    made = Settings(_env_file=None, data=tmp_path / "data", providers=folder, public_url="https://hub.example")
    add_connection(made, "corner", "one", secrets={"key": KEY, "proof": PROOF}, merchant="M")
    return made


def send(running, path: str = STOCK, message=MESSAGE, method: str = "POST", key: str = KEY, **headers: str):
    return running.client.request(method, path, json=message, headers={"x-key": key, **headers})


def counted(running) -> dict[str, int]:
    """The counters of what is no delivery, after the server has ended."""
    running.stop()
    with database(running.settings) as transaction:
        return {row.name: row.value for row in transaction.execute(select(tables.counters)) if row.name[0] != "_"}


def notices(settings: Settings, *options: str):
    found = CliRunner().invoke(tiffin, ["notice", "list", "--json", "--data", str(settings.data), *options])
    assert found.exit_code == 0, found.output
    return json.loads(found.output)


# ---- echo and hash ---------------------------------------------------------------------------------------


def test_a_challenge_is_echoed_as_plain_text_that_no_browser_takes_for_more(running):
    answer = running.client.get(STOCK, params={"challenge": "<b>1</b>"})
    assert (answer.status_code, answer.text) == (200, "<b>1</b>")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_challenge_of_controls_is_refused_and_nothing_of_it_is_a_header(running):
    answer = running.client.get(f"{STOCK}?challenge=a%0d%0aSet-Cookie:%20x=1")
    assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)


def test_a_hash_covers_the_configured_url_and_the_secret_of_the_connection_in_the_path(running):
    path = f"{BASE}/c/one/proof"
    answer = running.client.get(path, params={"code": "c0de"}, headers={"host": "evil.example"})
    assert answer.json() == {"answer": hashlib.sha256(f"c0de{PROOF}https://hub.example{path}".encode()).hexdigest()}


def test_a_hash_is_refused_where_it_is_not_said_whose_secret_it_needs(running):
    add_connection(running.settings, "corner", "two", secrets={"key": KEY + "2", "proof": PROOF + "2"})
    running.service.directory._checked = float("-inf")
    answer = running.client.get(f"{BASE}/webhooks/proof", params={"code": "c"})
    assert (answer.status_code, answer.json()["problem"]["code"]) == (400, "handshake_unanswerable")


def test_a_registration_is_answered_with_the_urls_of_the_connection(running):
    answer = send(running, f"{BASE}/c/one/register", {"status": "register"})
    url = f"https://hub.example{BASE}/c/one/api/v2/updateInventory"
    assert answer.json() == {"menuUpdateURL": url}


def test_a_registration_with_a_wrong_key_is_unauthorized(running):
    answer = send(running, f"{BASE}/c/one/register", {"status": "register"}, key="wrong")
    assert answer.status_code == 401


# ---- codes -------------------------------------------------------------------------------------------------


def test_a_verification_code_is_kept_for_the_operator(running):
    answer = send(running, f"{BASE}/c/one/api/v2/updateInventory", {"verificationCode": "3f9e-77"}, key="")
    assert (answer.status_code, answer.content) == (200, b"")
    [notice] = notices(running.settings)
    assert notice["shown"] == {"verification code": "3f9e-77"}
    assert [notice[key] for key in ("provider", "connection", "tenant", "handshake")] == [
        "corner",
        "one",
        "north",
        "code",
    ]


def test_a_code_stands_encrypted_in_the_data_folder_and_in_no_log(running, capfd):
    send(running, STOCK, {"verificationCode": "code-3f9e77aa"}, key="")
    running.stop()
    kept = b"".join(file.read_bytes() for file in running.settings.data.rglob("*") if file.is_file())
    assert b"code-3f9e77aa" not in kept
    said = capfd.readouterr()
    assert "code-3f9e77aa" not in said.out + said.err


def test_a_stranger_cannot_fill_the_table_of_notices(running):
    answers = [send(running, STOCK, {"verificationCode": f"{n}"}, key="").status_code for n in range(12)]
    assert answers == [200] * 6 + [503] * 6
    assert [n["shown"]["verification code"] for n in notices(running.settings)] == ["5", "4", "3", "2"]
    assert counted(running)["handshakes_too_many"] == 6


def test_an_operator_removes_a_notice_that_is_dealt_with(running):
    send(running, STOCK, {"verificationCode": "1"}, key="")
    [notice] = notices(running.settings)
    arguments = ["--data", str(running.settings.data)]
    removed = CliRunner().invoke(tiffin, ["notice", "remove", str(notice["id"]), *arguments])
    assert (removed.exit_code, removed.output) == (0, "1 removed\n")
    assert notices(running.settings) == []
    again = CliRunner().invoke(tiffin, ["notice", "remove", str(notice["id"]), *arguments])
    assert again.exit_code == 1


# ---- what they are not -------------------------------------------------------------------------------------


def test_handshakes_are_no_deliveries_and_are_counted_apart(running):
    running.client.get(STOCK, params={"challenge": "1"})
    running.client.get(STOCK, params={"challenge": "\x01"})
    running.client.post(STOCK, data={"webhook_id": "7"})
    send(running, f"{BASE}/c/one/register", {"status": "register"}, key="wrong")
    counts = counted(running)
    assert counts == {"handshakes": 2, "handshakes_refused": 1, "handshakes_unauthorized": 1}
    assert deliveries_of(running.settings) == []


def test_a_delivery_at_the_url_of_a_handshake_is_a_delivery(running):
    assert send(running).json()["verdict"] == "accepted"
    assert [row.state for row in deliveries_of(running.settings)] == ["accepted"]


def test_a_form_that_is_no_ping_is_verified_like_any_delivery(running):
    answer = running.client.post(STOCK, data={"other": "7"})
    assert answer.status_code == 401


def test_a_url_of_handshakes_alone_answers_404_to_what_is_none(running):
    answer = running.client.get(f"{BASE}/webhooks/proof")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_handshake")


def test_the_methods_of_handshakes_are_among_those_that_a_405_names(running):
    answer = running.client.delete(STOCK)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_a_body_longer_than_a_handshake_is_refused_at_its_url_before_it_is_read(running):
    answer = running.client.post(f"{BASE}/webhooks/register", content=b"x" * 70_000)
    assert answer.status_code == 413


# ---- addresses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [STOCK, f"{BASE}/c/one/api/v2/updateInventory", f"{BASE}/c/one/stock"])
def test_a_fixed_path_of_several_segments_is_answered_below_webhooks_and_below_a_connection(running, path: str):
    assert send(running, path).json()["verdict"] == "accepted"


@pytest.mark.parametrize("base", [f"{BASE}/webhooks", f"{BASE}/c/one"])
def test_a_put_with_the_store_in_its_url_is_a_delivery_for_that_store(running, base: str):
    assert send(running, f"{base}/stores/S%209/stock", method="PUT").json()["commands"] == 1
    with database(running.settings) as transaction:
        assert list(transaction.scalars(select(tables.outcomes.c.external_store))) == ["S 9"]


def test_the_segment_of_a_url_is_known_again_when_a_delivery_is_replayed(running):
    id_ = send(running, f"{BASE}/c/one/stores/S-9/stock", method="PUT").json()["id"]
    running.stop()
    done = CliRunner().invoke(tiffin, ["delivery", "replay", id_, "--yes", "--data", str(running.settings.data)],
                              env={"TIFFIN_PROVIDERS": str(running.settings.providers)})  # fmt: skip
    assert done.exit_code == 0, done.output
    with database(running.settings) as transaction:
        assert list(transaction.scalars(select(tables.outcomes.c.external_store))) == ["S-9", "S-9"]


def test_a_post_to_a_path_of_put_names_the_method(running):
    answer = send(running, f"{BASE}/webhooks/stores/S-9/stock")
    assert (answer.status_code, answer.headers["allow"]) == (405, "PUT")


@pytest.mark.parametrize("tail", ["stores//stock", "stores/a/b/stock", "stores/a%2Fb/stock", "x/stores/a/stock"])
def test_a_placeholder_is_one_whole_segment(running, tail: str):
    assert send(running, f"{BASE}/webhooks/{tail}", method="PUT").status_code == 404


def test_the_openapi_document_has_placeholders_and_handshakes(running):
    paths = running.client.get("/openapi.json").json()["paths"]
    put = paths[f"{BASE}/webhooks/stores/{{store}}/stock"]["put"]
    assert [p["name"] for p in put["parameters"]] == ["store"]
    named = paths[f"{BASE}/c/{{connection}}/stores/{{store}}/stock"]["put"]
    assert [p["name"] for p in named["parameters"]] == ["connection", "store"]
    assert set(paths[f"{BASE}/webhooks/proof"]) == {"get"}
    assert set(paths[STOCK]) == {"post", "get"}
    ids = [op["operationId"] for path in paths.values() for op in path.values() if "operationId" in op]
    assert len(ids) == len(set(ids))


# ---- answered once persisted -------------------------------------------------------------------------------


def test_ack_persisted_answers_what_the_request_says_and_does_the_work_afterwards(running):
    answer = send(running, f"{BASE}/webhooks/slow", **{"x-trace": "t-9"})
    assert (answer.status_code, answer.json()["trace"]) == (202, "t-9")
    running.stop()
    [row] = deliveries_of(running.settings)
    assert (row.id, row.state) == (answer.json()["id"], "accepted")
    assert commands_of(running.settings, row.id)
    assert ledger_difference(running.settings) == 0


def test_ack_persisted_answers_a_body_that_cannot_be_read_and_keeps_its_failure(running):
    answer = running.client.post(f"{BASE}/webhooks/slow", content=b"no json", headers={"x-key": KEY})
    assert answer.status_code == 202
    running.stop()
    assert [(row.state, row.codes) for row in deliveries_of(running.settings)] == [("failed", ["body_not_json"])]


def test_ack_persisted_is_verified_first(running):
    assert send(running, f"{BASE}/webhooks/slow", key="wrong").status_code == 401
