import asyncio

import pytest

from tests.flows.scenery import (
    commands_of,
    deliver,
    deliveries_of,
    ledger_difference,
    rotate_secret,
    settings_in,
    started,
    stock,
)

pytestmark = pytest.mark.usefixtures("everywhere")


def replayed(settings, delivery: str):
    async def run():
        async with started(settings, serving=False) as service:
            return await service.replay.one(delivery)

    return asyncio.run(run())


def delivered(settings, document, breaks: bool = False, **options) -> str:
    async def run():
        async with started(settings) as service:
            if breaks:
                service.providers["acme"].interpreter.draft = lambda *_: 1 / 0
            await deliver(service, document, **options)

    asyncio.run(run())
    return deliveries_of(settings)[-1].id


def test_a_replay_of_an_accepted_delivery_writes_no_command_twice(tmp_path):
    settings = settings_in(tmp_path)
    delivery = delivered(settings, stock())
    before = commands_of(settings, delivery)
    assert replayed(settings, delivery).verdict == "accepted"
    assert commands_of(settings, delivery) == before
    assert ledger_difference(settings) == 0


def test_a_replay_of_a_failed_delivery_does_its_work(tmp_path):
    settings = settings_in(tmp_path)
    delivery = delivered(settings, stock(), breaks=True)
    assert replayed(settings, delivery).commands == 1
    assert [row.state for row in deliveries_of(settings)] == ["accepted"]


def test_a_corrected_replay_of_a_partial_delivery_writes_only_what_was_missing(tmp_path):
    settings = settings_in(tmp_path)
    delivery = delivered(settings, stock(a="5", b="many"))
    assert len(commands_of(settings, delivery)) == 1
    file = settings.providers / "acme.yaml"
    file.write_text(file.read_text().replace("quantity: qty", 'quantity: \'qty = "many" ? "99" : qty\''))
    outcome = replayed(settings, delivery)
    assert (outcome.verdict, outcome.commands) == ("accepted", 1)
    assert len(commands_of(settings, delivery)) == 2


def test_a_quarantined_request_runs_after_its_secret_was_mended(tmp_path):
    settings = settings_in(tmp_path)
    delivery = delivered(settings, stock(), secret="the-secret-that-was-meant")
    assert replayed(settings, delivery).verdict == "unauthorized"
    rotate_secret(settings, "one", "key", "the-secret-that-was-meant")
    assert replayed(settings, delivery).verdict == "accepted"
    assert [row.state for row in deliveries_of(settings)] == ["accepted"]


def test_a_delivery_that_does_not_exist_says_so(tmp_path):
    outcome = replayed(settings_in(tmp_path), "0" * 32)
    assert [failure.code for failure in outcome.failures] == ["delivery_unknown"]
