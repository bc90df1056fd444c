"""Against an OTLP/HTTP receiver of the test's own, which reads the protocol's messages."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator

import jsonschema
import orjson
import pytest

import schemas
from bus import EmbeddedLog
from bus.tail import Tail
from bus.topics import CATALOG_COMMANDS
from flows import tracing
from flows.service import Service
from tests.collector import Collector
from tests.flows.scenery import SECRET, stock

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


def facts(span) -> dict:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def on(settings, collector: Collector, *trusted: str):
    return settings.model_copy(update={"traces": collector.url, "traces_trust": trusted})


def published(settings) -> list[dict]:
    log = EmbeddedLog(settings.data / "bus.db")
    try:
        return [orjson.loads(m.value) for m in Tail(log, CATALOG_COMMANDS, from_beginning=True).take(100)]
    finally:
        log.close()


def finished(running) -> None:
    """Waits until the views have what was sent, and stops the server, which sends what spans wait."""
    while running.service.writer.projection.results.get("applied", 0) < 1:
        assert running.client.get("/readyz").status_code == 200
    running.stop()


def test_a_webhook_is_one_trace_from_its_receipt_to_the_views(settings, start, collector) -> None:
    running = start(on(settings, collector))
    answer = running.post(stock())
    finished(running)
    [request] = collector.named("receive")
    own = [span for span in collector.spans if span.trace_id == request.trace_id]
    stages = {"verify", "persist", "read", "evaluate", "resolve", "finish", "commit", "relay", "project"}
    assert {span.name for span in own} == {"receive", *stages}
    assert {span.parent_span_id for span in own if span.name in stages} == {request.span_id}
    assert facts(request) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "tiffin.provider": "acme",
        "tiffin.feed": "stock",
        "tiffin.verdict": "accepted",
        "tiffin.commands": 1,
        "tiffin.delivery": answer.headers["tiffin-delivery"],
    }
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in own)


def test_a_command_carries_the_trace_of_its_request(settings, start, collector) -> None:
    running = start(on(settings, collector))
    running.post(stock())
    finished(running)
    [request] = collector.named("receive")
    [command] = published(settings)
    jsonschema.validate(command, schemas.schema("cloudevent"))
    assert command["traceparent"][:53] == f"00-{request.trace_id.hex()}-{request.span_id.hex()}-"


@pytest.mark.parametrize(("trusted", "taken"), [((), False), (("10.0.0.0/8",), False), (("127.0.0.0/8",), True)])
def test_a_callers_trace_is_taken_on_only_where_the_caller_is_trusted(
    settings, start, collector, trusted, taken
) -> None:
    running = start(on(settings, collector, *trusted))
    running.post(stock(), headers={"traceparent": CALLER})
    finished(running)
    [request] = collector.named("receive")
    assert (request.trace_id.hex() == CALLER[3:35]) is taken
    assert (request.parent_span_id.hex() == CALLER[36:52]) is taken


def test_a_trusted_callers_header_that_is_no_traceparent_begins_a_trace(settings, start, collector) -> None:
    running = start(on(settings, collector, "127.0.0.0/8"))
    running.post(stock(), headers={"traceparent": b"00-nonsense-\xff"})
    finished(running)
    [request] = collector.named("receive")
    assert request.parent_span_id == b""


def test_no_secret_header_or_payload_is_sent(settings, start, collector) -> None:
    running = start(on(settings, collector))
    running.post(stock())
    signature = running.post(stock("e-2"), secret="another-secret-than-it").request.headers["x-signature"]
    finished(running)
    sent = b"".join(collector.bytes)
    body = json.dumps(stock()).encode()
    assert collector.named("receive")
    assert not any(text in sent for text in (SECRET.encode(), signature.encode(), body, b"e-1", b"sku"))


def test_without_traces_commands_are_as_they_were(running, settings) -> None:
    running.post(stock(), headers={"traceparent": CALLER})
    finished(running)
    [command] = published(settings)
    assert "traceparent" not in command


def test_a_server_without_traces_loads_nothing_of_opentelemetry(settings) -> None:
    code = (
        "import asyncio, sys\n"
        "from flows.service import Service\nfrom flows.settings import Settings\nfrom server.app import create_app\n"
        "service = Service(Settings())\ncreate_app(service)\n"
        "async def main():\n    await service.start()\n    await service.stop()\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    environment = {"TIFFIN_DATA": str(settings.data), "TIFFIN_PROVIDERS": str(settings.providers), "PYTHONPATH": ""}
    environment["PYTHONPATH"] = ":".join(path for path in sys.path if path)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_traces_without_their_packages_are_refused_with_what_to_install(settings, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "flows.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    service = Service(settings.model_copy(update={"traces": "http://127.0.0.1:1"}))
    with pytest.raises(tracing.TracesNotInstalled, match=r"tiffin\[traces\]"):
        asyncio.run(service.start())


def test_a_collector_that_is_away_fails_no_request(settings, start) -> None:
    running = start(settings.model_copy(update={"traces": "http://127.0.0.1:1"}))
    assert running.post(stock()).status_code == 200
    finished(running)
