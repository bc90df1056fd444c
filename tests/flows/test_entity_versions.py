"""Updates with versions that arrive late, through the whole service."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from engine.messages import Request
from flows.settings import Settings
from stores import tables
from tests.flows.scenery import TOKEN, add_connection, commands_of, database, deliveries_of, started

PROVIDER = """
spec: tiffin/v1
provider: ledgerly
title: Ledgerly
family: erp
revision: 1
evidence: assumed
defaults: {unit: each}
auth: {scheme: token, header: X-Key, secret: token}
feeds:
  stock:
    idempotency: {event_id: [id]}
    commands:
      levels:
        command: UpdateStockLevel
        each: lines
        version: {from: rev, as: integer}
        fields: {variant_id: sku, quantity: qty}
"""


def sent(folder: Path, *messages: list[tuple[str, str, str]]) -> Settings:
    """Delivers messages of (sku, revision, quantity) lines in order."""
    providers = folder / "providers"
    providers.mkdir()
    (providers / "ledgerly.yaml").write_text(PROVIDER)
    settings = Settings(_env_file=None, data=folder / "data", providers=providers)
    add_connection(settings, "ledgerly", "c", secrets={"token": TOKEN})

    async def run() -> None:
        async with started(settings) as service:
            target = service.receiver.target("erp", "ledgerly", "c", "POST", "stock")
            for n, lines in enumerate(messages):
                document = {"id": n, "lines": [{"sku": s, "rev": r, "qty": q} for s, r, q in lines]}
                body, now = json.dumps(document).encode(), datetime.now(UTC)
                headers = ((b"x-key", TOKEN.encode()),)
                await service.receiver.receive(target, Request("POST", "/x", "/x", (), headers, body, "192.0.2.1", now))

    asyncio.run(run())
    return settings


def test_an_older_update_that_arrives_late_changes_nothing_and_is_stale(tmp_path: Path) -> None:
    settings = sent(tmp_path, [("a", "10", "5")], [("a", "9", "7")])
    assert [row.state for row in deliveries_of(settings)] == ["accepted", "stale"]
    assert commands_of(settings, deliveries_of(settings)[1].id) == []


def test_an_equal_version_from_another_message_is_a_duplicate(tmp_path: Path) -> None:
    settings = sent(tmp_path, [("a", "10", "5")], [("a", "10", "7")])
    assert [row.state for row in deliveries_of(settings)] == ["accepted", "duplicate"]


def test_of_a_mixed_message_only_what_is_newer_is_written_and_the_rest_is_counted(tmp_path: Path) -> None:
    settings = sent(tmp_path, [("a", "10", "5"), ("b", "10", "5")], [("a", "9", "7"), ("b", "11", "7")])
    late = deliveries_of(settings)[1]
    assert (late.state, len(commands_of(settings, late.id))) == ("accepted", 1)
    with database(settings) as transaction:
        o = tables.outcomes.c
        assert transaction.scalar(select(o.stale).where(o.delivery == late.id)) == 1
