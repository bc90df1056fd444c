"""Questions over HTTP: answered from the views that webhooks made, within what the connection may see."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from flows.settings import Settings
from stores import counters, tables
from tests.flows.scenery import TOKEN, add_connection, database

PROVIDER = """
spec: tiffin/v1
provider: bazaar
title: Bazaar
family: seller
revision: 1
evidence: assumed
defaults: {currency: INR, unit: each}
auth: {scheme: token, header: X-Key, secret: token}
unmapped: {store: create}
feeds:
  products:
    idempotency: {event_id: [id]}
    commands:
      items:
        command: UpsertMenuItem
        each: items
        fields: {store_id: shop, item_id: code, name: name, sku: sku, price: price}
        commands:
          variants:
            command: UpsertVariant
            each: variants
            let: {one: $}
            fields: {store_id: $one.shop, variant_id: vid, item_id: $one.code, name: name, sku: sku}
      status:
        command: UpdateStoreStatus
        each: stores
        fields: {store_id: shop, status: status}
  status-query:
    idempotency: none
    answer: {store: {view: store_status, store: shop, ids: external}}
    replies:
      accepted: {json: {expr: '{"shop": $view.store.store_id, "status": $view.store.status}'}}
      rejected: {status: 400, json: {expr: '{"code": $problem.code}'}}
  list:
    method: GET
    accept: none
    idempotency: none
    answer:
      goods:
        view: items
        store: $request.query.shop
        only: '$request.query.only ? $split($request.query.only, ",")'
        page: $request.query.page
        size: 2
        ids: external
    replies:
      accepted:
        json: {expr: '{"ids": [$view.goods.items.item_id], "more": $view.goods.more, "page": $view.goods.page}'}
      rejected: {status: 400, json: {expr: '{"code": $problem.code}'}}
"""
BASE = "/v1/integrations/seller/bazaar/c"
HEADERS = {"x-key": TOKEN, "content-type": "application/json"}
GENEROUS = 60.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "providers").mkdir()
    (tmp_path / "providers" / "bazaar.yaml").write_text(PROVIDER)
    made = Settings(_env_file=None, data=tmp_path / "data", providers=tmp_path / "providers")
    add_connection(made, "bazaar", "wide", secrets={"token": TOKEN}, merchant="mer_1")
    add_connection(made, "bazaar", "narrow", secrets={"token": TOKEN}, merchant="mer_1", stores=("sto_none",))
    add_connection(made, "bazaar", "other", secrets={"token": TOKEN}, merchant="mer_2")
    return made


def post(running: Any, path: str, document: Any, connection: str = "wide") -> Any:
    return running.client.post(f"{BASE}/{connection}/{path}", content=json.dumps(document), headers=HEADERS)


def listed(running: Any, connection: str = "wide", **query: str) -> Any:
    return running.client.get(f"{BASE}/{connection}/list", params={"shop": "s1", **query}, headers=HEADERS)


def eventually(look: Any) -> Any:
    give_up = time.monotonic() + GENEROUS
    while not (found := look()):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return found


@pytest.fixture
def stocked(settings: Settings, start: Any) -> Any:
    """A server whose views know five items and an open store."""
    running = start(settings)
    items = [
        {"shop": "s1", "code": f"p{n}", "name": f"Product {n}", "sku": f"SKU-{n}", "price": "10"} for n in range(5)
    ]
    items[3]["variants"] = [{"vid": "v3", "name": "Large", "sku": "SKU-3-L", "shop": "s1", "code": "p3"}]
    sent = {"id": "e1", "items": items, "stores": [{"shop": "s1", "status": "open"}]}
    assert post(running, "products", sent).status_code == 200
    eventually(lambda: post(running, "status-query", {"shop": "s1"}).json().get("status") == "open")
    return running


def test_a_store_s_status_is_answered_with_the_provider_s_own_id(stocked: Any) -> None:
    answer = post(stocked, "status-query", {"shop": "s1"})
    assert (answer.status_code, answer.json()) == (200, {"shop": "s1", "status": "open"})


def test_pages_of_items_come_under_the_provider_s_own_ids(stocked: Any) -> None:
    pages = [listed(stocked, page=str(n)).json() for n in (1, 2, 3)]
    assert [page["more"] for page in pages] == [True, True, False]
    assert sorted(id for page in pages for id in page["ids"]) == [f"p{n}" for n in range(5)]
    assert listed(stocked).json() == pages[0]


@pytest.mark.parametrize(
    ("only", "ids"), [("SKU-2", ["p2"]), ("p4", ["p4"]), ("SKU-3-L", ["p3"]), ("none", []), ("SKU-2, p4", ["p2", "p4"])]
)
def test_items_are_chosen_by_sku_by_id_and_by_those_of_their_variants(stocked: Any, only: str, ids: list[str]) -> None:
    assert sorted(listed(stocked, only=only).json()["ids"]) == ids


@pytest.mark.parametrize("connection", ["narrow", "other"])
def test_a_connection_sees_its_own_stores_and_merchant_alone(stocked: Any, connection: str) -> None:
    answer = post(stocked, "status-query", {"shop": "s1"}, connection)
    assert (answer.status_code, answer.json()) == (400, {"code": "scope_not_allowed"})
    items = listed(stocked, connection)
    assert items.json() in ({"code": "scope_not_allowed"}, {"ids": [], "more": False, "page": 1})


def test_a_store_that_is_not_mapped_is_no_answer(stocked: Any) -> None:
    assert post(stocked, "status-query", {"shop": "nowhere"}).json() == {"code": "unmapped"}


@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "٣", "9999999", "2;3"])
def test_a_page_that_is_no_number_is_a_fault_of_the_question(stocked: Any, page: str) -> None:
    assert listed(stocked, page=page).json() == {"code": "question_unreadable"}


def test_a_question_is_no_delivery_and_is_counted_apart(stocked: Any, settings: Settings) -> None:
    with database(settings) as transaction:
        before = transaction.scalar(select(func.count()).select_from(tables.deliveries))
    post(stocked, "status-query", {"shop": "s1"})
    wrong = stocked.client.post(f"{BASE}/wide/status-query", content=b"{}", headers={"x-key": "wrong-key-00000000000"})
    assert wrong.status_code == 401
    with database(settings) as transaction:
        assert transaction.scalar(select(func.count()).select_from(tables.deliveries)) == before
    metrics = stocked.client.get("/metrics").text
    assert 'tiffin_deliveries_total{feed="status-query",provider="bazaar",verdict="answered"}' in metrics

    def counted() -> bool:
        with database(settings) as transaction:
            return counters.all_counts(transaction).get("questions", 0) > 0

    eventually(counted)


def test_a_store_that_is_away_makes_a_question_unavailable(stocked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.journal import StoreUnavailable

    async def away(_: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(stocked.service.journal, "read", away)
    assert post(stocked, "status-query", {"shop": "s1"}).status_code == 503
