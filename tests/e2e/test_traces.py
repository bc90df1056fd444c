"""Traces across the processes of a server: the one that answers, and the one that writes, relays and projects."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.collector import Collector
from tests.e2e.conftest import STORE, TOKEN
from tests.e2e.tiffin import Tiffin

INVENTORY = "/v1/integrations/pos/petpooja/webhooks/inventory"


def test_the_spans_of_the_writers_process_belong_to_the_request(installed: Callable[..., Tiffin]) -> None:
    collector = Collector()
    tiffin = installed(TIFFIN_TRACES=collector.url)
    tiffin.start()
    body = json.dumps({"restID": STORE, "type": "item", "inStock": False, "itemID": ["i1"]}).encode()
    assert tiffin.post(INVENTORY, body, {"authorization": TOKEN, "content-type": "application/json"}).is_success
    give_up = time.monotonic() + 60
    while not (collector.named("project") and collector.named("receive")):
        assert time.monotonic() < give_up, [span.name for span in collector.spans]
        time.sleep(0.05)
    [request] = collector.named("receive")
    for name in ("relay", "project"):
        [span] = collector.named(name)
        assert (span.trace_id, span.parent_span_id) == (request.trace_id, request.span_id)
    collector.close()
