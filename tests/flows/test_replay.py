import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select

from engine.messages import Ref
from stores import connections, mappings, specs, tables
from tests.flows.scenery import (
    commands_of,
    database,
    deliver,
    deliveries_of,
    ledger_difference,
    rotate_secret,
    settings_in,
    started,
    stock,
)

pytestmark = pytest.mark.usefixtures("everywhere")


def replayed(settings, delivery: str, **options):
    async def run():
        async with started(settings, serving=False) as service:
            return await service.replay.one(delivery, **options)

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


# ---- as then ----


def mapped(settings, canonical: str, external: str = "a") -> None:
    with database(settings, writing=True) as transaction:
        ref = Ref("item", "R-1", external)
        mappings.set_mapping(transaction, "north", "acme", ref, canonical, datetime.now(UTC), "test")


def hashes(settings, delivery: str) -> list[str]:
    o = tables.outcomes.c
    with database(settings) as transaction:
        statement = select(o.spec_hash).where(o.delivery == delivery).order_by(o.attempt)
        return list(transaction.scalars(statement))


def changed(settings) -> None:
    file = settings.providers / "acme.yaml"
    text = file.read_text().replace("revision: 1", "revision: 2")
    file.write_text(text.replace("quantity: qty", "quantity: '\"7\"'"))


def test_as_then_is_by_the_file_of_then_and_as_now_by_that_of_now(tmp_path):
    settings = settings_in(tmp_path)
    delivery = delivered(settings, stock())
    before = commands_of(settings, delivery)
    changed(settings)
    then = replayed(settings, delivery, as_then=True)
    assert (then.verdict, commands_of(settings, delivery)) == ("accepted", before)
    assert replayed(settings, delivery).commands == 1
    first, again, now = hashes(settings, delivery)
    assert first == again != now


def test_as_then_is_by_the_mappings_of_then(tmp_path):
    settings = settings_in(tmp_path)
    mapped(settings, "itm_1")
    delivery = delivered(settings, stock())
    before = commands_of(settings, delivery)
    mapped(settings, "itm_2")
    assert replayed(settings, delivery, as_then=True).verdict == "accepted"
    assert commands_of(settings, delivery) == before
    assert replayed(settings, delivery).commands == 1


def test_an_id_that_was_to_be_created_then_is_taken_as_it_stands_now(tmp_path):
    settings = settings_in(tmp_path)
    delivery = delivered(settings, stock(), breaks=True)
    mapped(settings, "itm_now")
    assert replayed(settings, delivery, as_then=True).verdict == "accepted"
    with database(settings) as transaction:
        entities = transaction.scalars(select(tables.outcomes.c.entities).order_by(tables.outcomes.c.attempt)).all()
    assert "itm_now" in entities[-1]


def test_as_then_is_by_the_overrides_of_then(tmp_path):
    settings = settings_in(tmp_path)

    def override(text: str) -> None:
        with database(settings, writing=True) as transaction:
            connections.override(transaction, "one", text, datetime.now(UTC))

    override("feeds: {stock: {commands: {stock: {fields: {quantity: '\"9\"'}}}}}")
    delivery = delivered(settings, stock())
    before = commands_of(settings, delivery)
    override("")
    assert replayed(settings, delivery, as_then=True).verdict == "accepted"
    assert commands_of(settings, delivery) == before
    assert replayed(settings, delivery).commands == 1


def test_a_file_that_is_not_kept_is_said_and_nothing_is_run(tmp_path):
    settings = settings_in(tmp_path)
    delivery = delivered(settings, stock())
    changed(settings)
    with database(settings, writing=True) as transaction:
        transaction.execute(delete(tables.specs))
    outcome = replayed(settings, delivery, as_then=True)
    assert (outcome.verdict, [one.code for one in outcome.failures]) == ("", ["spec_not_kept"])
    assert len(hashes(settings, delivery)) == 1


def test_a_file_that_no_longer_loads_is_said(tmp_path):
    settings = settings_in(tmp_path)
    delivery = delivered(settings, stock())
    with database(settings, writing=True) as transaction:
        transaction.execute(tables.specs.update().values(text="spec: tiffin/v1\nprovider: acme\nodd: 1\n"))
    outcome = replayed(settings, delivery, as_then=True)
    assert (outcome.verdict, [one.code for one in outcome.failures]) == ("", ["spec_does_not_load"])


def test_what_was_never_interpreted_has_no_then(tmp_path):
    settings = settings_in(tmp_path)
    delivery = delivered(settings, stock(), secret="the-secret-that-was-meant")
    outcome = replayed(settings, delivery, as_then=True)
    assert [one.code for one in outcome.failures] == ["not_interpreted_then"]


def test_a_preview_counts_by_which_files_deliveries_were_first_interpreted(tmp_path):
    settings = settings_in(tmp_path)
    ids = [delivered(settings, stock(f"e-{n}")) for n in range(2)]
    changed(settings)
    ids += [delivered(settings, stock("e-3")), delivered(settings, stock("e-4"), secret="not-the-secret-of-it")]
    replayed(settings, ids[0])
    with database(settings) as transaction:
        found = specs.used(transaction, ids)
    assert [(one.provider, one.revision, one.deliveries) for one in found] == [("acme", 1, 2), ("acme", 2, 1)]
