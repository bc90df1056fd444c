"""An invented provider that takes files of every format, and files for it."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.messages import Request
from flows.importing.intake import Wanted, admit
from flows.service import Service
from flows.settings import Settings
from stores import imports
from stores.imports import Job
from tests.flows.scenery import SECRET, add_connection, on_database

MARKET = """
spec: tiffin/v1
provider: market
title: Market
family: seller
revision: 1
evidence: assumed
defaults: {currency: INR, unit: each}
auth: {scheme: hmac, algorithm: sha256, secret: key, signature: {header: X-Signature}}
feeds:
  import:
    accept: [json, ndjson, csv, tsv, xlsx, {xml: {lists: [row]}}]
    gzip: true
    limits: {body: 2000}
    idempotency: {event_id: ["feed ? feed : $request.headers.`x-feed-id`"]}
    commands:
      rows: {command: UpdatePrice, each: rows, fields: {item_id: sku, price: price}}
      listed: {command: UpdatePrice, each: catalog.products, fields: {item_id: sku, price: price}}
      shops: {command: UpsertStore, each: catalog.shops, fields: {store_id: id, name: name}}
      told: {command: UpdatePrice, each: prices.row, fields: {item_id: sku, price: price}}
unmapped: {item: create, store: create}
"""


def market_settings(folder: Path, **changes: Any) -> Settings:
    """Settings for a data folder with the market and a connection to it."""
    providers = folder / "providers"
    fresh = not providers.exists()
    providers.mkdir(exist_ok=True)
    (providers / "market.yaml").write_text(MARKET)
    made = Settings(_env_file=None, data=folder / "data", providers=providers, **on_database())
    if fresh:
        add_connection(made, "market", "stall", secrets={"key": SECRET})
    return made.model_copy(update={"import_chunk": 10, **changes})


def table(rows: int, separator: str = ",") -> bytes:
    lines = [f"s{n}{separator}{n + 1}.50" for n in range(rows)]
    return "\n".join([f"sku{separator}price", *lines, ""]).encode()


def objects(rows: int) -> list[dict[str, Any]]:
    return [{"sku": f"s{n}", "price": f"{n + 1}.50"} for n in range(rows)]


def catalog(rows: int, **more: Any) -> bytes:
    return json.dumps({"feed": "f1", "catalog": {"products": objects(rows), **more}}).encode()


def xml(rows: int) -> bytes:
    inner = "".join(f"<row><sku>s{n}</sku><price>{n + 1}.50</price></row>\n" for n in range(rows))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<prices>\n{inner}</prices>'.encode()


def workbook(rows: int) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["sku", "price"])
    for n in range(rows):
        book.active.append([f"s{n}", f"{n + 1}.50"])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def parquet(rows: int) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    columns = {"sku": [f"s{n}" for n in range(rows)], "price": [n + 1.5 for n in range(rows)]}
    pq.write_table(pa.table(columns), out, row_group_size=100)
    return out.getvalue()


async def admitted(service: Service, body: bytes, name: str, **headers: str) -> Job:
    """The job of a file that was taken in without HTTP. Raises Unfit."""
    connection = await service.journal.connection("stall")
    assert connection is not None
    given = {"x-feed-id": "f1", **{k.replace("_", "-"): v for k, v in headers.items()}}
    pairs = tuple((k.encode(), v.encode()) for k, v in given.items())
    path = "/v1/integrations/seller/market/import"
    request = Request("POST", f"http://here{path}", path, (), pairs, b"", "192.0.2.1", datetime.now(UTC))
    chunk = service.settings.import_chunk
    wanted = Wanted(service.providers["market"], "import", connection, request, "", name, chunk)
    with service.importer.spool.incoming() as incoming:
        incoming.write(body)
        return await admit(service.journal, incoming, wanted, most=100, keep=incoming.keep)


async def imported(service: Service, body: bytes, name: str, **headers: str) -> Job:
    """The job of a file, run to its end."""
    job = await admitted(service, body, name, **headers)
    ended = await service.importer.run_one(job.id)
    assert ended is not None
    return ended


async def told(service: Service, job: Job) -> list[dict[str, Any]]:
    """The failures of a job's rows."""
    found, _ = await service.journal.read(lambda t: imports.failures_of(t, job))
    return found
