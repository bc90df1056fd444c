"""A process that ends between the two commits, and what the next one makes of it."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.recover import MOST_ATTEMPTS
from tests.flows.scenery import (
    commands_of,
    deliver,
    deliveries_of,
    in_flight_of,
    ledger_difference,
    settings_in,
    started,
    stock,
)

pytestmark = pytest.mark.usefixtures("everywhere")
ROOT = Path(__file__).parents[2]

DIES = """
import asyncio, os, sys
from pathlib import Path
from engine.interpreter import Interpreter
from tests.flows.scenery import deliver, settings_in, started, stock

Interpreter.draft = lambda self, reading: os._exit(9)

async def main():
    async with started(settings_in(Path(sys.argv[1]))) as service:
        if len(sys.argv) > 2:
            await deliver(service, stock())
        else:
            await service.recovery.recover(everything=True)

asyncio.run(main())
"""


def dies(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
    ended = subprocess.run(
        [sys.executable, "-c", DIES, str(folder), *arguments], cwd=folder, env=environment, timeout=60
    )
    assert ended.returncode == 9


def recover_all(settings) -> None:
    async def run():
        async with started(settings) as service:
            await service.recovery.recover(everything=True)

    asyncio.run(run())


def test_a_crash_between_the_two_commits_is_finished_at_the_next_start(tmp_path):
    settings = settings_in(tmp_path)
    dies(tmp_path, "deliver")
    [left] = deliveries_of(settings)
    assert (in_flight_of(settings), left.state) == ([left.id], "in_flight")
    recover_all(settings)
    assert [row.state for row in deliveries_of(settings)] == ["accepted"]
    assert len(commands_of(settings, left.id)) == 1
    assert in_flight_of(settings) == []


def test_a_resend_after_the_recovery_is_a_duplicate(tmp_path):
    settings = settings_in(tmp_path)
    dies(tmp_path, "deliver")

    async def run():
        async with started(settings) as service:
            await service.recovery.recover(everything=True)
            return await deliver(service, stock())

    assert b'"duplicate"' in asyncio.run(run()).body
    assert ledger_difference(settings) == 0


def test_a_delivery_that_ends_the_process_three_times_is_parked(tmp_path):
    settings = settings_in(tmp_path)
    dies(tmp_path, "deliver")
    for _ in range(MOST_ATTEMPTS - 1):
        dies(tmp_path)
    recover_all(settings)
    [row] = deliveries_of(settings)
    assert (row.state, row.codes) == ("parked", ["crashed_repeatedly"])


def test_a_delivery_whose_provider_file_is_gone_is_parked_with_the_reason(tmp_path):
    settings = settings_in(tmp_path)
    dies(tmp_path, "deliver")
    (settings.providers / "acme.yaml").unlink()
    recover_all(settings)
    [row] = deliveries_of(settings)
    assert (row.state, row.codes) == ("parked", ["feed_missing"])


def test_a_lease_that_has_not_expired_is_left_alone(tmp_path):
    settings = settings_in(tmp_path)
    dies(tmp_path, "deliver")

    async def run():
        async with started(settings, serving=False) as service:
            return await service.recovery.recover()

    assert asyncio.run(run()) == 0
    assert len(in_flight_of(settings)) == 1


def test_a_lease_that_has_expired_is_taken_over(tmp_path):
    settings = settings_in(tmp_path)
    dies(tmp_path, "deliver")
    later = datetime.now(UTC) + timedelta(seconds=settings.lease + 1)

    async def run():
        async with started(settings, serving=False, clock=lambda: later) as service:
            return await service.recovery.recover()

    assert asyncio.run(run()) == 1
    assert in_flight_of(settings) == []
