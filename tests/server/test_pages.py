import math
import re

import pytest

from tests.flows.scenery import stock


def test_health_is_ok(running):
    assert running.client.get("/healthz").json() == {"status": "ok"}


def test_readiness_names_what_it_depends_on(running):
    answer = running.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["dependencies"] == {"database": "ok", "bus": "ok", "views": "ok"}


@pytest.mark.parametrize("path", ["/nothing", "/v1/deliveries/" + "0" * 32, "/v1/deliveries/x", "/v1/deliveries/%00"])
def test_what_is_not_there_is_a_problem_document(running, path):
    answer = running.client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_method_is_a_problem_document(running):
    answer = running.client.delete("/healthz")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_the_front_page_lists_feeds_and_escapes_what_files_say(running):
    page = running.client.get("/").text
    assert "/v1/integrations/pos/acme/webhooks/stock" in page
    assert "/v1/integrations/seller/gate/import" in page
    assert "<b>Goods</b>" not in page


def test_openapi_has_every_feed(running):
    paths = running.client.get("/openapi.json").json()["paths"]
    assert "post" in paths["/v1/integrations/pos/acme/webhooks/stock"]
    assert paths["/v1/integrations/seller/gate/import"]["post"]["responses"]["429"]["description"] == "busy"


def test_metrics_hold_no_label_that_a_stranger_chose(running):
    for n in range(5):
        running.post(stock(), path=f"/v1/integrations/pos/stranger-{n}/webhooks/stock")
        running.post(stock(), path=f"/v1/integrations/pos/acme/webhooks/stranger-{n}")
        running.post(stock(), path=f"/v1/integrations/pos/acme/c/stranger-{n}/stock")
    metrics = running.client.get("/metrics").text
    assert "stranger" not in metrics
    assert 'tiffin_refused_total{reason="unknown_provider"} 5.0' in metrics


def test_metrics_count_deliveries_and_time_their_stages(running):
    running.post(stock())
    metrics = running.client.get("/metrics").text
    assert 'tiffin_deliveries_total{feed="stock",provider="acme",verdict="accepted"} 1.0' in metrics
    stages = set(re.findall(r'tiffin_stage_seconds_count\{stage="(\w+)"\} 1\.0', metrics))
    assert {"verify", "persist", "read", "draft", "resolve", "finish", "conclude", "total"} <= stages


def value(running, name: str) -> float:
    [found] = re.findall(rf"^tiffin_{name} (\S+)$", running.client.get("/metrics").text, re.M)
    return float(found)


def test_metrics_count_what_was_received_and_what_came_of_it_by_class(running):
    running.post(stock())
    running.post(stock())
    running.post(stock("e-2"), secret="not-the-secret-at-all")
    running.post({**stock("e-3"), "items": [{"sku": "s", "qty": "many"}]})
    metrics = running.client.get("/metrics").text
    assert 'tiffin_received_total{feed="stock",provider="acme"} 4.0' in metrics
    found = dict(re.findall(r'tiffin_deliveries_total\{.*verdict="(\w+)"\} (\S+)', metrics))
    assert found == {"accepted": "1.0", "duplicate": "1.0", "unauthorized": "1.0", "rejected": "1.0"}
    failed = dict(re.findall(r'tiffin_failures_total\{class="(\w+)".*\} (\S+)', metrics))
    assert failed == {"auth": "1.0", "validation": "1.0"}
    assert 'tiffin_commands_total{feed="stock",provider="acme"} 1.0' in metrics


def test_metrics_tell_the_queue_the_outbox_and_the_ledgers_difference(running):
    running.post(stock())
    # What the service writes by itself waits there too, now and then.
    while (value(running, "queue_rows"), value(running, "queue_bytes")) != (0.0, 0.0):
        pass
    while math.isnan(value(running, "ledger_difference")) or math.isnan(value(running, "outbox_age_seconds")):
        pass
    assert value(running, "ledger_difference") == 0.0
    assert value(running, "outbox_parked_rows") == 0.0


def test_the_queues_depth_is_that_of_what_waits_for_a_commit(running, monkeypatch):
    monkeypatch.setattr(type(running.service.journal), "depth", (7, 4096))
    assert (value(running, "queue_rows"), value(running, "queue_bytes")) == (7.0, 4096.0)


def test_with_an_admin_key_only_the_open_paths_are_open(settings, start):
    running = start(settings.model_copy(update={"admin_key": type(settings.admin_key)("the-admin-key")}))
    status = {path: running.client.get(path).status_code for path in ("/", "/metrics", "/openapi.json", "/healthz")}
    assert status == {"/": 401, "/metrics": 401, "/openapi.json": 401, "/healthz": 200}
    assert running.post(stock()).status_code == 200


def test_asyncapi_has_the_topics(running):
    channels = running.client.get("/asyncapi.json").json()["channels"]
    assert {"catalog.commands", "integration.failures"} < {channel["address"] for channel in channels.values()}
