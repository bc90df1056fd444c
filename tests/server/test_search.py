"""GET /v1/search and `tiffin search`: what a webhook said can be found."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import tiffin
from tests.flows.scenery import SECRET, add_connection
from tests.server.test_views import GENEROUS

SHOP = """
spec: tiffin/v1
provider: shop
title: Shop
family: admin
revision: 1
evidence: assumed
defaults: {currency: INR, unit: each}
auth: {scheme: hmac, algorithm: sha256, secret: key, signature: {header: X-Signature}}
unmapped: {store: create}
feeds:
  goods:
    scope: {store: store}
    idempotency: {event_id: [event]}
    commands:
      goods: {command: UpsertMenuItem, each: items, fields: {item_id: id, name: name, sku: sku, price: price}}
"""
GOODS = "/v1/integrations/admin/shop/webhooks/goods"
ITEMS = [
    {"id": "1", "name": "Paneer Tikka", "sku": "PT-1", "price": "80"},
    {"id": "2", "name": "Paneer Masala", "sku": "PM-1", "price": "90"},
    {"id": "3", "name": "Brown Rice", "sku": "BR-1", "price": "70"},
]


@pytest.fixture
def shop(settings, start) -> Any:
    """A running server that was told of three items, all of which can be found."""
    (settings.providers / "shop.yaml").write_text(SHOP)
    add_connection(settings, "shop", "three", secrets={"key": SECRET})
    running = start(settings)
    assert running.post({"event": "e-1", "store": "S-1", "items": ITEMS}, GOODS).status_code == 200
    found(running, "q=paneer", lambda answer: len(answer["items"]) == 2)
    return running


def found(running, query: str, wanted=lambda answer: answer["items"]) -> Any:
    """The answer once it is as wanted."""
    give_up = time.monotonic() + GENEROUS
    while True:
        answer = running.client.get(f"/v1/search?{query}")
        if answer.status_code == 200 and wanted(answer.json()):
            return answer
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.02)


def test_a_hit_is_shown_with_its_price_and_store(shop) -> None:
    (hit,) = shop.client.get("/v1/search?q=tik").json()["items"]
    assert (hit["kind"], hit["name"], hit["sku"]) == ("item", "Paneer Tikka", "PT-1")
    assert hit["price"] == {"amount": "80.00", "currency": "INR"}
    assert shop.client.get(f"/v1/search?q=tik&store={hit['store_id']}").json()["items"] == [hit]
    assert shop.client.get("/v1/search?q=tik&store=elsewhere").json()["items"] == []


def test_pages_follow_one_another_until_there_is_no_next(shop) -> None:
    first = shop.client.get("/v1/search?q=paneer&limit=1").json()
    second = shop.client.get(f"/v1/search?q=paneer&limit=1&after={first['next']}").json()
    assert [one["name"] for page in (first, second) for one in page["items"]] == ["Paneer Tikka", "Paneer Masala"]
    assert (first["next"], second["next"]) == ("1", None)


def test_an_unchanged_answer_is_not_sent_again(shop) -> None:
    answer = shop.client.get("/v1/search?q=rice")
    again = shop.client.get("/v1/search?q=rice", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_command_line_finds_the_same_and_can_make_the_index_again(shop, settings) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(tiffin, [*arguments, "--data", str(settings.data)])
        assert done.exit_code == 0, done.output
        return done.output

    expected = shop.client.get("/v1/search?q=panner").json()
    assert json.loads(run("search", "panner", "--json")) == expected
    assert "Paneer Tikka" in run("search", "tikka")
    assert run("search", "nothing-like-it") == "Nothing is found.\n"
    assert json.loads(run("view", "rebuild-search", "--json")) == {"documents": 3}
    assert shop.client.get("/v1/search?q=panner").json() == expected
    shop.post({"event": "e-2", "store": "S-1", "items": [{**ITEMS[2], "name": "Red Rice"}]}, GOODS)
    found(shop, "q=red")


def test_metrics_tell_what_the_index_has_taken_and_how_far_behind_it_is(shop) -> None:
    metrics = shop.client.get("/metrics").text
    assert 'tiffin_consumer_done_total{consumer="search"} 3.0' in metrics
    assert 'tiffin_consumer_behind{consumer="search"} 0.0' in metrics
    assert 'tiffin_consumer_backing_off{consumer="search"} 0.0' in metrics


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "parameter_invalid"),
        ("q=%20", 400, "parameter_invalid"),
        ("q=!!", 400, "parameter_invalid"),
        ("q=a&limit=0", 400, "parameter_invalid"),
        ("q=a&limit=101", 400, "parameter_invalid"),
        ("q=a&after=x", 400, "parameter_invalid"),
        ("q=a&after=10001", 400, "parameter_invalid"),
        ("q=" + "a" * 501, 400, "parameter_invalid"),
    ],
)
def test_a_question_that_cannot_be_read_is_a_problem_document(running, query: str, status: int, code: str) -> None:
    answer = running.client.get(f"/v1/search?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("query", ["q=%00", "q=a%00b&store=%00", "q=%22)%20OR%20(&kind='", "q=a&tenant=%ff"])
def test_odd_questions_find_nothing_and_break_nothing(running, query: str) -> None:
    assert running.client.get(f"/v1/search?{query}").status_code in (200, 400)


def test_several_tenants_are_told_apart(settings, start) -> None:
    from datetime import UTC, datetime

    from engine.messages import Connection
    from flows.journal import secret_box
    from stores import connections
    from tests.flows.scenery import database

    with database(settings, writing=True) as transaction:
        other = Connection("four", "south", "gate", {"token": (b"another-token-of-the-tests",)})
        connections.add(transaction, other, secret_box(settings), datetime.now(UTC))
    running = start(settings)
    answer = running.client.get("/v1/search?q=rice")
    assert (answer.status_code, answer.json()["code"]) == (409, "tenant_needed")
    assert running.client.get("/v1/search?q=rice&tenant=south").json()["items"] == []


def test_search_needs_the_admin_key_where_there_is_one(settings, start) -> None:
    running = start(settings.model_copy(update={"admin_key": type(settings.admin_key)("k" * 32)}))
    assert running.client.get("/v1/search?q=rice").status_code == 401


def test_where_no_index_is_kept_that_is_said(settings, start) -> None:
    answer = start(settings.model_copy(update={"consume": ()})).client.get("/v1/search?q=rice")
    assert (answer.status_code, answer.json()["code"]) == (404, "search_off")


def test_an_index_that_does_not_answer_is_unavailable(settings, start) -> None:
    url = type(settings.search_url)("http://127.0.0.1:1/goods")
    answer = start(settings.model_copy(update={"search_url": url})).client.get("/v1/search?q=rice")
    assert (answer.status_code, answer.json()["code"]) == (503, "search_unavailable")


def test_openapi_has_the_search(running) -> None:
    operation = running.client.get("/openapi.json").json()["paths"]["/v1/search"]["get"]
    assert [one["name"] for one in operation["parameters"]][:4] == ["q", "tenant", "store", "kind"]
    assert "503" in operation["responses"]
