"""A connection's quarantine, verified again with the secrets of now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.retention import Retention
from flows.service import Service
from flows.settings import Settings
from flows.verify_again import VerifiedAgain, VerifyAgain
from stores import deliveries
from stores.deliveries import evict_older
from tests.flows.scenery import (
    SECRET,
    add_connection,
    commands_of,
    database,
    deliver,
    deliveries_of,
    in_flight_of,
    ledger_difference,
    rotate_secret,
    settings_in,
    started,
    stock,
)

MEANT = "the-secret-that-was-meant"
WRONG = "the-secret-of-somebody-else"


def run(settings: Settings, job: Callable[[Service], Any]) -> Any:
    async def go() -> Any:
        async with started(settings) as service:
            return await job(service)

    return asyncio.run(go())


def quarantined(settings: Settings, **secrets: str) -> None:
    """Delivers one message for each event with its secret."""

    async def send(service: Service) -> None:
        for event, secret in secrets.items():
            await deliver(service, stock(event), secret=secret)

    run(settings, send)


def again(settings: Settings, dry_run: bool = False, connection: str = "one") -> list[VerifiedAgain | None]:
    async def verify(service: Service) -> list[VerifiedAgain | None]:
        verifying = VerifyAgain(service.replay, service.journal, connection)
        return [one async for one in verifying.run(await verifying.ids() or [], dry_run=dry_run)]

    return run(settings, verify)


def states(settings: Settings) -> list[str]:
    return [row.state for row in deliveries_of(settings)]


@pytest.fixture
def settings(tmp_path: Path, everywhere: str) -> Settings:
    made = settings_in(tmp_path)
    quarantined(made, a=MEANT, b=WRONG, c=MEANT)
    return made


def test_what_verifies_with_the_new_secret_is_accepted_and_the_rest_stays(settings: Settings) -> None:
    assert [one.verdict for one in again(settings) if one] == ["unauthorized"] * 3
    rotate_secret(settings, "one", "key", MEANT)
    assert [(one.verdict, one.commands) for one in again(settings) if one] == [
        ("accepted", 1), ("unauthorized", 0), ("accepted", 1)
    ]  # fmt: skip
    assert states(settings) == ["accepted", "quarantined", "accepted"]
    assert in_flight_of(settings) == []
    assert ledger_difference(settings) == 0


def test_a_preview_changes_nothing(settings: Settings) -> None:
    rotate_secret(settings, "one", "key", MEANT)
    assert [one.verdict for one in again(settings, dry_run=True) if one] == ["verifies", "unauthorized", "verifies"]
    assert states(settings) == ["quarantined"] * 3


def test_running_it_twice_writes_commands_once(settings: Settings) -> None:
    rotate_secret(settings, "one", "key", MEANT)
    again(settings)
    assert [one.verdict for one in again(settings) if one] == ["unauthorized"]
    assert [len(commands_of(settings, row.id)) for row in deliveries_of(settings)] == [1, 0, 1]


def test_a_message_that_was_sent_again_meanwhile_is_a_duplicate(settings: Settings) -> None:
    rotate_secret(settings, "one", "key", MEANT)
    quarantined(settings, a=MEANT)
    assert [one.verdict for one in again(settings) if one] == ["duplicate", "unauthorized", "accepted"]


def test_what_was_released_when_the_process_ended_is_finished_by_recovery(settings: Settings) -> None:
    rotate_secret(settings, "one", "key", MEANT)

    async def release(service: Service) -> None:
        connection = await service.journal.connection("one")
        [first, *_] = await VerifyAgain(service.replay, service.journal, "one").ids() or []
        assert await service.journal.released(first, connection)
        assert not await service.journal.released(first, connection)

    run(settings.model_copy(update={"lease": 0.001}), release)

    async def recover(service: Service) -> None:
        await service.recovery.recover(everything=True)

    run(settings, recover)
    assert states(settings)[0] == "accepted"
    assert in_flight_of(settings) == []


def test_what_named_no_connection_is_tried_for_this_one_alone(tmp_path: Path, everywhere: str) -> None:
    settings = settings_in(tmp_path)
    add_connection(settings, "acme", "other", keys=("R-1",), secrets={"key": "another-secret-of-the-tests"})
    quarantined(settings, a=MEANT, b="another-secret-meant-to-be")
    assert {row.state for row in deliveries_of(settings)} == {"quarantined"}
    rotate_secret(settings, "one", "key", MEANT)
    rotate_secret(settings, "other", "key", "another-secret-meant-to-be")
    assert [one and one.verdict for one in again(settings, connection="one")] == ["accepted", None]
    assert states(settings) == ["accepted", "quarantined"]


def test_the_quarantine_of_a_connection_that_there_is_not(settings: Settings) -> None:
    async def ids(service: Service) -> list[str] | None:
        return await VerifyAgain(service.replay, service.journal, "nowhere").ids()

    assert run(settings, ids) is None


# ---- bounds ------------------------------------------------------------------------------------------------


def test_the_oldest_go_when_there_are_more_bytes_than_may_be_kept(tmp_path: Path, everywhere: str) -> None:
    settings = settings_in(tmp_path, quarantine_bytes=1000)
    quarantined(settings, **{f"e{n}": WRONG for n in range(12)})
    kept = [row for row in deliveries_of(settings) if row.state == "quarantined"]
    gone = [row for row in deliveries_of(settings) if row.state == "evicted"]
    assert 0 < sum(len(row.body) for row in kept) <= 1000
    assert {row.body for row in gone} == {b""}
    assert max(row.id for row in gone) < min(row.id for row in kept)


def test_what_is_older_than_may_be_kept_goes(settings: Settings) -> None:
    async def write(job: Any) -> Any:
        with database(settings, writing=True) as transaction:
            return job(transaction)

    async def no_pause(_: float) -> None:
        return None

    def removed(after: timedelta) -> int:
        at = datetime.now(UTC) + after
        days = {"deliveries_days": 0, "published_days": 0, "quarantine_days": 30}
        return asyncio.run(Retention(write, lambda: at, pause=no_pause, **days).remove()).quarantined

    assert removed(timedelta(days=29)) == 0
    assert removed(timedelta(days=31)) == 3
    assert states(settings) == ["evicted"] * 3


def test_eviction_by_age_takes_a_few_at_a_time(settings: Settings) -> None:
    with database(settings, writing=True) as transaction:
        later = datetime.now(UTC) + timedelta(days=1)
        assert [evict_older(transaction, later, 2), evict_older(transaction, later, 2)] == [2, 1]
        assert deliveries.quarantined_ids(transaction, "one", "acme") == []


def test_a_request_that_verified_is_not_in_quarantine(settings: Settings) -> None:
    quarantined(settings, d=SECRET)
    with database(settings) as transaction:
        assert len(deliveries.quarantined_ids(transaction, "one", "acme")) == 3
