"""Two invented providers, and connections to them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.messages import Reply, Request
from flows.service import Service
from flows.settings import Settings

ACME = """
spec: tiffin/v1
provider: acme
title: Acme Tills
family: pos
revision: 1
evidence: assumed
defaults: {currency: INR, unit: each, time_zone: Asia/Kolkata}
auth: {scheme: hmac, algorithm: sha256, secret: key, signature: {header: X-Signature}}
connection: store
unmapped: {store: create}
feeds:
  stock:
    scope: {store: store}
    idempotency: {event_id: [event]}
    commands:
      stock:
        command: UpdateStockLevel
        each: items
        fields: {item_id: sku, quantity: qty}
  slow:
    ack: persisted
    scope: {store: store}
    idempotency: {event_id: [event]}
    commands:
      stock:
        command: UpdateStockLevel
        each: items
        fields: {item_id: sku, quantity: qty}
"""

GATE = """
spec: tiffin/v1
provider: gate
title: Gate <b>Goods</b>
family: seller
revision: 1
evidence: assumed
defaults: {currency: INR, unit: each}
auth:
  any:
    - {scheme: token, header: X-Api-Key, secret: token}
    - {scheme: token, query: token, secret: token}
    - {scheme: token, form: token, secret: token}
unmapped: {store: create}
replies:
  unauthorized: {status: 403, json: {ok: false}}
  busy: {status: 429, json: {ok: false}, headers: {Retry-After: "7"}}
feeds:
  import:
    accept: [json, form]
    scope: {store: store}
    idempotency: {payload_hash: {window: 10m}}
    commands:
      price:
        command: UpdatePrice
        each: items
        fields: {item_id: sku, price: price}
"""

SECRET = "a-secret-of-the-tests-0001"
TOKEN = "tok-9f8e7d6c5b4a39281706"


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings for a data folder and a folder of both providers, with a connection to each."""
    providers = folder / "providers"
    if not providers.exists():
        providers.mkdir()
        (providers / "acme.yaml").write_text(ACME)
        (providers / "gate.yaml").write_text(GATE)
        made = Settings(_env_file=None, data=folder / "data", providers=providers)
        add_connection(made, "acme", "one", keys=("R-1",), secrets={"key": SECRET})
        add_connection(made, "gate", "two", secrets={"token": TOKEN})
    return Settings(_env_file=None, **{"data": folder / "data", "providers": providers, **changes})


def stock(event: str = "e-1", store: str = "R-1", **quantities: str) -> dict[str, Any]:
    items = [{"sku": sku, "qty": qty} for sku, qty in (quantities or {"a": "5"}).items()]
    return {"event": event, "store": store, "items": items}


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-signature": signature, "content-type": "application/json"}


async def deliver(service: Service, document: Any, feed: str = "stock", secret: str = SECRET) -> Reply:
    """Has the service receive a signed document, as the server would."""
    body = json.dumps(document).encode()
    headers = tuple((k.encode(), v.encode()) for k, v in signed(body, secret).items())
    target = service.receiver.target("pos", "acme", "", "POST", feed)
    path = f"/v1/integrations/pos/acme/webhooks/{feed}"
    now = datetime.now(UTC)
    return await service.receiver.receive(target, Request("POST", path, path, (), headers, body, "192.0.2.1", now))


@asynccontextmanager
async def started(settings: Settings, **options: Any) -> AsyncIterator[Service]:
    service = Service(settings, **options)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
