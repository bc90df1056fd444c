"""Two invented providers, and connections to them."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy import Connection as Transaction

from bus.topics import CATALOG_COMMANDS
from engine.messages import Connection, Reply, Request
from flows.journal import database_url, secret_box
from flows.service import Service
from flows.settings import Settings
from stores import connections, deliveries, failures, tables
from stores.database import open_database
from stores.ledger import ledger
from stores.schema import migrate
from tests import postgres

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

# ---- what stands in the database -----------------------------------------------------------------------


@contextmanager
def database(settings: Settings, writing: bool = False) -> Iterator[Transaction]:
    """A transaction on the embedded database, beside whatever serves from it."""
    settings.data.mkdir(exist_ok=True)
    opened = open_database(database_url(settings))
    migrate(opened)
    try:
        with opened.engine.connect().execution_options(writing=writing) as connection, connection.begin():
            yield connection
    finally:
        opened.close()


def add_connection(settings: Settings, provider: str, id: str, *, secrets: dict[str, str], **options: Any) -> None:
    values = {name: (value.encode(),) for name, value in secrets.items()}
    with database(settings, writing=True) as transaction:
        connection = Connection(id, "north", provider, values, **options)
        connections.add(transaction, connection, secret_box(settings), datetime.now(UTC))


def rotate_secret(settings: Settings, id: str, name: str, value: str) -> None:
    now = datetime.now(UTC)
    with database(settings, writing=True) as transaction:
        connections.rotate(transaction, id, name, value.encode(), secret_box(settings), now, now)


def deliveries_of(settings: Settings, state: str | None = None) -> list[SimpleNamespace]:
    """Every delivery, oldest first, with its body, its quarantine and the codes of its last attempt's failures."""
    found = []
    with database(settings) as transaction:
        for line in reversed(deliveries.listed(transaction, {"state": state}, limit=1000)):
            row = deliveries.get(transaction, line.id)
            codes = [f.code for f in failures.listed(transaction, {"delivery": line.id}) if f.attempt == line.attempt]
            found.append(
                SimpleNamespace(id=line.id, state=line.state, codes=codes, body=row.body, quarantined=row.quarantined)
            )
    return found


def commands_of(settings: Settings, delivery: str) -> list[str]:
    """The ids of the commands of a delivery in the outbox or published, in order."""
    with database(settings) as transaction:
        return [
            id
            for table in (tables.published, tables.outbox)
            for (ids,) in transaction.execute(
                select(table.c.ids).where(table.c.delivery == delivery, *_of_commands(table)).order_by(table.c.id)
            )
            for id in (json.loads(ids) if isinstance(ids, str) else ids)
        ]


def _of_commands(table: Table) -> list[ColumnElement[bool]]:
    """Beside commands the outbox holds events; only commands are kept once they are published."""
    return [table.c.topic == CATALOG_COMMANDS] if "topic" in table.c else []


def in_flight_of(settings: Settings) -> list[str]:
    with database(settings) as transaction:
        return list(transaction.scalars(select(tables.in_flight.c.delivery)))


def ledger_difference(settings: Settings) -> int:
    with database(settings) as transaction:
        return ledger(transaction).difference


def stored_bytes(settings: Settings) -> bytes:
    """Everything in the data folder but the secret key."""
    return b"".join(f.read_bytes() for f in sorted(settings.data.iterdir()) if f.name != "secret.key")


# ---- running ---------------------------------------------------------------------------------------------

SECRET = "a-secret-of-the-tests-0001"
TOKEN = "tok-9f8e7d6c5b4a39281706"


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Settings for a data folder and a folder of both providers, with a connection to each."""
    providers = folder / "providers"
    if not providers.exists():
        providers.mkdir()
        (providers / "acme.yaml").write_text(ACME)
        (providers / "gate.yaml").write_text(GATE)
        made = Settings(_env_file=None, data=folder / "data", providers=providers, **on_database())
        add_connection(made, "acme", "one", keys=("R-1",), secrets={"key": SECRET})
        add_connection(made, "gate", "two", secrets={"token": TOKEN})
    given = {"data": folder / "data", "providers": providers, "drift": 0, **on_database(), **changes}
    return Settings(_env_file=None, **given)


DATABASE_VARIABLE = "TIFFIN_TEST_DATABASE_URL"
"""Names the database of the test that runs, also to processes that it starts; empty: SQLite in its folder."""


def on_database() -> dict[str, Any]:
    url = os.environ.get(DATABASE_VARIABLE, "")
    return {"database_url": url, "secret_key": postgres.KEY} if url else {}


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
