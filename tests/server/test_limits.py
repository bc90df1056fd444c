from __future__ import annotations

import os

import pytest

from flows.settings import Settings
from stores import connections
from tests.flows.scenery import TOKEN, database, deliveries_of, stock

REDIS = os.environ.get("TIFFIN_TEST_REDIS_URL", "")
NAMED = "/v1/integrations/pos/acme/c/one/stock"


def limited(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"rate_burst": 2.0, **changes})


def test_requests_beyond_a_connections_limit_get_the_providers_busy_reply(settings, start):
    running = start(limited(settings, rate_connection=1.0))
    answers = [running.post(stock(f"e-{n}")) for n in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 503]
    assert answers[2].headers["retry-after"] == "5"
    assert len(deliveries_of(settings)) == 2


def test_the_time_to_wait_is_told_where_it_is_longer(settings, start):
    running = start(limited(settings, rate_connection=0.01))
    running.post(stock("e-1"))
    assert 90 <= int(running.post(stock("e-2")).headers["retry-after"]) <= 100


def test_a_providers_own_busy_reply_is_used(settings, start):
    running = start(limited(settings, rate_connection=1.0))
    path = "/v1/integrations/seller/gate/import"
    body = {"store": "R-1", "items": [{"sku": "a", "price": "1.00"}]}
    answers = [running.client.post(path, json=body, headers={"x-api-key": TOKEN}) for _ in range(3)]
    assert (answers[2].status_code, answers[2].json(), answers[2].headers["retry-after"]) == (429, {"ok": False}, "7")


@pytest.mark.parametrize("path", [NAMED, "/v1/integrations/pos/acme/webhooks/stock?connection=one"])
def test_where_the_url_names_the_connection_the_body_is_not_read(settings, start, path):
    running = start(limited(settings, rate_connection=1.0))
    for n in range(2):
        running.post(stock(f"e-{n}"), path=path)
    # An unsigned request is refused for the limit, before anybody looks at its signature.
    refused = running.post(stock("e-3"), path=path, secret="not-the-secret-of-this-connection")
    assert refused.status_code == 503
    assert deliveries_of(settings, "quarantined") == []


def test_strangers_do_not_use_up_a_connections_share(settings, start):
    running = start(limited(settings, rate_connection=1.0))
    for n in range(10):
        running.post(stock(f"x-{n}"), path=NAMED, secret="not-the-secret-of-this-connection")
    assert running.post(stock("e-1"), path=NAMED).status_code == 200


def test_requests_beyond_an_addresss_limit_get_busy_whoever_sends_them(settings, start):
    running = start(limited(settings, rate_address=1.0))
    statuses = [running.post(stock(f"e-{n}"), secret="not-the-secret-at-all").status_code for n in range(3)]
    assert statuses == [401, 401, 503]
    assert 'tiffin_refused_total{reason="rate_limited"} 1.0' in running.client.get("/metrics").text


def test_a_connections_own_limit_holds(settings, start):
    with database(settings, writing=True) as transaction:
        row = connections.rows(transaction)[0]
        connections.set_setting(transaction, row.id, "requests_per_second", 0.5, row.created_at)
    running = start(limited(settings))
    assert [running.post(stock(f"e-{n}")).status_code for n in range(2)] == [200, 503]


def test_without_limits_nothing_is_refused(running):
    assert {running.post(stock(f"e-{n}")).status_code for n in range(20)} == {200}


def test_with_redis_away_the_service_goes_on_and_says_so(settings, start):
    url = type(settings.redis_url)("redis://127.0.0.1:1/0")
    running = start(limited(settings, rate_connection=1.0, redis_url=url))
    assert [running.post(stock(f"e-{n}")).status_code for n in range(3)] == [200, 200, 503]
    ready = running.client.get("/readyz")
    assert (ready.status_code, ready.json()["dependencies"]["redis"][:4]) == (200, "away")


@pytest.mark.skipif(not REDIS, reason="TIFFIN_TEST_REDIS_URL names no Redis")
def test_with_redis_there_readiness_says_so(settings, start):
    running = start(limited(settings, rate_connection=50.0, redis_url=type(settings.redis_url)(REDIS)))
    assert running.post(stock()).status_code == 200
    assert running.client.get("/readyz").json()["dependencies"]["redis"] == "ok"
