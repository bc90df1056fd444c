"""What a good engineer writes by hand for one provider: FastAPI and SQLAlchemy, one commit a request.

The same tables, checks and durability as Tiffin's way of the same webhook: signature, raw request kept,
key claimed once, store and items mapped, commands checked against their schema and put in the outbox.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import jiter
import jsonschema_rs
import orjson
from fastapi import FastAPI, HTTPException, Request
from sqlalchemy import and_, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or

import schemas
from engine.keys import canonical_id
from stores import tables as t
from stores.database import open_database

SECRET = os.environ["BENCH_SECRET"].encode()
DATABASE = open_database(f"sqlite:///{Path(os.environ['BENCH_FOLDER']) / 'handwritten.db'}")
TENANT, PROVIDER = "bench", "stock"
VALIDATOR = jsonschema_rs.validator_for(schemas.schema("commands/UpdateStockLevel.v1"))
app = FastAPI()


@app.post("/v1/integrations/erp/stock/c/bench/levels")
async def levels(request: Request) -> Any:
    body = await request.body()
    signature = request.headers.get("x-signature", "")
    expected = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise HTTPException(401)
    return handle(request, body)


def handle(request: Request, body: bytes) -> Any:
    delivery, now = secrets.token_hex(16), datetime.now(UTC)
    micros = int(now.timestamp() * 1_000_000)
    headers = orjson.dumps([[k.decode("latin-1"), v.decode("latin-1")] for k, v in request.headers.raw])
    with DATABASE.engine.begin() as connection:
        connection.execute(
            insert(t.deliveries).values(
                id=delivery, received_at=micros, tenant=TENANT, provider=PROVIDER, connection="bench",
                feed="levels", method="POST", url=str(request.url), headers=headers, sealed=b"", body=body,
                body_sealed=False, peer="127.0.0.1", spec_hash="", quarantined="",
            )
        )  # fmt: skip
        document = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="lossless-float")
        key = "event_id:" + hashlib.sha256(f"{TENANT}|{PROVIDER}|{document['eventId']}".encode()).hexdigest()[:32]
        claimed = connection.execute(
            insert_or(t.keys)
            .values(tenant=TENANT, provider=PROVIDER, key_text=key, delivery=delivery, state="done", claimed_at=micros)
            .on_conflict_do_nothing()
            .returning(t.keys.c.delivery)
        ).first()
        if claimed is None:
            return {"id": delivery, "verdict": "duplicate"}
        commands = make_commands(connection, document, delivery, now, key)
        write_outcome(connection, delivery, micros, key, commands)
    return {"id": delivery, "verdict": "accepted", "commands": len(commands)}


def canonical(connection: Any, kind: str, external: str, micros: int, create: bool) -> str:
    m = t.mappings.c
    found = connection.execute(
        select(m.canonical_id).where(
            and_(m.tenant == TENANT, m.provider == PROVIDER, m.kind == kind, m.within == "",
                 m.external_id == external, m.valid_to.is_(None))
        )
    ).scalar()  # fmt: skip
    if found is not None:
        return str(found)
    if not create:
        raise HTTPException(422, f"unmapped {kind} {external}")
    made = canonical_id(TENANT, PROVIDER, kind, "", external)
    connection.execute(
        insert(t.mappings).values(
            tenant=TENANT, provider=PROVIDER, kind=kind, within="", external_id=external, canonical_id=made,
            valid_from=micros, source="created",
        )
    )  # fmt: skip
    return made


def make_commands(connection: Any, document: Any, delivery: str, now: datetime, key: str) -> list[dict[str, Any]]:
    micros = int(now.timestamp() * 1_000_000)
    store = canonical(connection, "store", str(document["warehouse"]), micros, create=False)
    commands = []
    for n, line in enumerate(document["lines"]):
        try:
            quantity = Decimal(str(line["qty"]))
        except InvalidOperation:
            raise HTTPException(422, "qty is not a number") from None
        data = {
            "merchant_id": TENANT,
            "store_id": store,
            "item_id": canonical(connection, "item", str(line["sku"]), micros, create=True),
            "quantity": {"amount": format(quantity, "f"), "unit": "each"},
        }
        if not VALIDATOR.is_valid(data):
            raise HTTPException(422, "not a stock level")
        commandkey = hashlib.sha256(f"{key}|{n}|{line['sku']}".encode()).hexdigest()[:32]
        commands.append(
            {
                "specversion": "1.0", "id": hashlib.sha256(commandkey.encode() + orjson.dumps(data)).hexdigest()[:32],
                "type": "tiffin.UpdateStockLevel.v1", "source": f"/tenants/{TENANT}/providers/{PROVIDER}/feeds/levels",
                "subject": data["item_id"], "time": now.isoformat(), "datacontenttype": "application/json",
                "partitionkey": f"{TENANT}/{store}", "tenant": TENANT, "deliveryid": delivery, "specrevision": 1,
                "commandkey": commandkey, "data": data,
            }
        )  # fmt: skip
    return commands


def write_outcome(connection: Any, delivery: str, micros: int, key: str, commands: list[dict[str, Any]]) -> None:
    ids = orjson.dumps([c["id"] for c in commands]).decode()
    for command in commands:
        connection.execute(
            insert(t.outbox).values(
                delivery=delivery, attempt=1, shard=0, kafka_key=command["partitionkey"], count=1,
                ids=orjson.dumps([command["id"]]).decode(), data=orjson.dumps([command]), created_at=micros,
            )
        )  # fmt: skip
    connection.execute(
        insert(t.outcomes).values(
            delivery=delivery, attempt=1, at=micros, state="accepted", event="", key_text=key, holder="",
            commands=len(commands), stale=0, external_merchant="", external_store="", merchant_id=TENANT,
            store_id="", spec_hash="", results=b"[]", entities="[]", command_ids=ids,
        )
    )  # fmt: skip
