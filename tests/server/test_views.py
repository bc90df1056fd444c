"""The views over HTTP, behind a running server: what a webhook said can be read."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.flows.scenery import stock

GENEROUS = 60.0


def visible(running, path: str, wanted=lambda found: True) -> Any:
    """The answer once it is there and as wanted."""
    give_up = time.monotonic() + GENEROUS
    while True:
        answer = running.client.get(path)
        if answer.status_code == 200 and wanted(answer.json()):
            return answer
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.02)


def store_of(running) -> str:
    """The canonical id of the store of the last delivery."""
    delivered = running.post(stock(a="5", b="0"))
    assert delivered.status_code == 200
    commands = running.service.journal.read_in_thread(_stores)
    return commands[0]


def _stores(transaction) -> list[str]:
    from sqlalchemy import select

    from stores.tables import outcomes

    return list(transaction.scalars(select(outcomes.c.store_id)))


def test_a_webhook_is_visible_in_the_availability_of_its_store(running) -> None:
    store = store_of(running)
    found = visible(running, f"/v1/stores/{store}/availability").json()
    assert (found["store_id"], found["tenant"], found["next"]) == (store, "north", None)
    told = {(one["quantity"]["amount"], one["available"]) for one in found["items"]}
    assert told == {("5", True), ("0", False)}


def test_an_unchanged_view_is_not_sent_again_and_a_changed_one_is(running) -> None:
    store = store_of(running)
    path = f"/v1/stores/{store}/availability"
    tag = visible(running, path).headers["etag"]
    again = running.client.get(path, headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    running.post(stock("e-2", a="7"))
    changed = visible(running, path, lambda found: "7" in [one["quantity"]["amount"] for one in found["items"]])
    assert changed.headers["etag"] != tag


def test_pages_give_every_entry_once(running) -> None:
    running.post(stock("many", **{f"s{n:02}": str(n) for n in range(25)}))
    store = running.service.journal.read_in_thread(_stores)[0]
    path = f"/v1/stores/{store}/availability"
    whole = visible(running, path).json()
    after, found = "", []
    while True:
        page = running.client.get(path, params={"limit": "10", "after": after}).json()
        found += page["items"]
        after = page["next"]
        if after is None:
            break
    assert found == whole["items"]
    assert len(found) == 25


def test_an_item_is_shown_in_every_place_that_has_it(running) -> None:
    store = store_of(running)
    one = visible(running, f"/v1/stores/{store}/availability").json()["items"][0]
    found = running.client.get(f"/v1/items/{one['id']}").json()
    (place,) = found["places"]
    assert (place["store_id"], place["known"], place["availability"]["quantity"]) == (store, False, one["quantity"])


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/stores/sto_none/menu", 404, "entity_unknown"),
        ("/v1/stores/sto_none/availability?limit=0", 400, "parameter_invalid"),
        ("/v1/stores/sto_none/menu?limit=٣", 400, "parameter_invalid"),
        ("/v1/items/%00", 404, "entity_unknown"),
    ],
)
def test_what_cannot_be_shown_is_a_problem_document(running, path: str, status: int, code: str) -> None:
    answer = running.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_views_need_the_admin_key_where_there_is_one(settings, start) -> None:
    running = start(settings.model_copy(update={"admin_key": type(settings.admin_key)("k" * 32)}))
    for path in ("/v1/stores/x/menu", "/v1/stores/x/availability", "/v1/items/x"):
        assert running.client.get(path).status_code == 401


def test_metrics_tell_how_far_behind_the_views_are_and_what_came_of_commands(running) -> None:
    store = store_of(running)
    visible(running, f"/v1/stores/{store}/availability")
    metrics = running.client.get("/metrics").text
    assert "tiffin_views_behind " in metrics
    assert 'tiffin_views_commands_total{result="applied"} 2.0' in metrics


def test_openapi_has_the_views(running) -> None:
    paths = running.client.get("/openapi.json").json()["paths"]
    assert {"/v1/stores/{id}/availability", "/v1/stores/{id}/menu", "/v1/items/{id}"} <= set(paths)
