"""Connections that override their provider file, served."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

import schemas
from flows.providers import load_provider, load_text, with_overrides
from stores import connections, specs, tables
from tests.flows.scenery import (
    SECRET,
    add_connection,
    database,
    deliver,
    deliveries_of,
    in_flight_of,
    settings_in,
    started,
    stock,
)

LEFT = "feeds: {stock: {commands: {stock: {fields: {quantity: left}}}}}\n"
OF_ANOTHER_FILE = "feeds: {stok: {commands: {stock: {fields: {quantity: left}}}}}\n"


def left(store: str, event: str = "e-1") -> dict[str, Any]:
    """A message that only the overrides can read."""
    return {"event": event, "store": store, "items": [{"sku": "a", "left": "5"}]}


def settings_with(folder, overrides: str):
    """Beside the usual connection of store R-1 one of store R-2 that overrides."""
    settings = settings_in(folder)
    add_connection(settings, "acme", "mine", keys=("R-2",), secrets={"key": SECRET}, overrides=overrides)
    return settings


def delivered(settings, *documents: dict[str, Any]) -> None:
    async def run():
        async with started(settings) as service:
            for document in documents:
                await deliver(service, document)

    asyncio.run(run())


def hashes(settings) -> list[tuple[str, str]]:
    """What each delivery was received and interpreted by."""
    with database(settings) as transaction:
        d, o = tables.deliveries.c, tables.outcomes.c
        found = select(d.spec_hash, o.spec_hash).join_from(tables.deliveries, tables.outcomes, d.id == o.delivery)
        return [tuple(row) for row in transaction.execute(found.order_by(d.id))]


def test_a_connection_s_overrides_hold_for_it_alone(tmp_path):
    settings = settings_with(tmp_path, LEFT)
    delivered(settings, left("R-1"), left("R-2", "e-2"), stock("e-3"))
    assert [row.state for row in deliveries_of(settings)] == ["failed", "accepted", "accepted"]


def test_a_delivery_names_the_file_with_the_overrides_and_that_file_alone_is_kept(tmp_path):
    settings = settings_with(tmp_path, LEFT)
    delivered(settings, left("R-2"))
    plain = load_provider(settings.providers / "acme.yaml", schemas.canon())
    made = with_overrides(plain, LEFT)
    assert hashes(settings) == [(made.spec_hash, made.spec_hash)]
    with database(settings) as transaction:
        kept = specs.text(transaction, made.spec_hash)
    assert load_text(kept, schemas.canon()).interpreter.provider == made.interpreter.provider


def test_a_change_of_the_overrides_holds_for_the_next_delivery(tmp_path):
    settings = settings_with(tmp_path, "")

    async def run():
        async with started(settings) as service:
            await deliver(service, left("R-2"))
            with database(settings, writing=True) as transaction:
                connections.override(transaction, "mine", LEFT, datetime.now(UTC))
            service.directory._checked = float("-inf")
            await deliver(service, left("R-2", "e-2"))

    asyncio.run(run())
    assert [row.state for row in deliveries_of(settings)] == ["failed", "accepted"]


def test_overrides_that_do_not_fit_fail_the_delivery_and_say_what_to_do(tmp_path):
    settings = settings_with(tmp_path, OF_ANOTHER_FILE)
    delivered(settings, left("R-2"))
    (row,) = deliveries_of(settings)
    assert (row.state, row.codes, in_flight_of(settings)) == ("failed", ["overrides_do_not_fit"], [])


def test_a_replay_after_the_overrides_are_mended_does_the_work(tmp_path):
    settings = settings_with(tmp_path, OF_ANOTHER_FILE)
    delivered(settings, left("R-2"))
    with database(settings, writing=True) as transaction:
        connections.override(transaction, "mine", LEFT, datetime.now(UTC))

    async def replay():
        async with started(settings, serving=False) as service:
            return await service.replay.one(deliveries_of(settings)[0].id)

    assert asyncio.run(replay()).verdict == "accepted"


def test_a_recovered_delivery_is_interpreted_with_the_overrides(tmp_path):
    settings = settings_with(tmp_path, LEFT)

    async def run():
        async with started(settings) as service:

            async def never(*_: Any) -> None:
                raise asyncio.CancelledError

            service.receiver._attempts.run = never
            with pytest.raises(asyncio.CancelledError):
                await deliver(service, left("R-2"))
        async with started(settings) as service:
            await service._background[0]  # recovers what was left, once

    asyncio.run(run())
    assert [row.state for row in deliveries_of(settings)] == ["accepted"]


def test_an_unknown_connection_cannot_be_overridden(tmp_path):
    settings = settings_in(tmp_path)
    with database(settings, writing=True) as transaction, pytest.raises(connections.ConnectionUnknown):
        connections.override(transaction, "nobody", LEFT, datetime.now(UTC))
