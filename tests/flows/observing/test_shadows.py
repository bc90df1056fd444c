"""A shadow beside the live revision: what it finds, what it leaves alone, and how it is promoted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import func, select

import schemas
from bus.topics import CATALOG_COMMANDS
from flows.observing.observer import LARGEST, Observer
from flows.providers import load_text
from flows.service import Service
from flows.settings import Settings
from stores import audit, promotions, shadows
from stores.tables import keys, mappings, outbox, outcomes, published
from tests.flows.observing.scenery import Line, a_round, observed, quiet
from tests.flows.scenery import ACME, database, deliver, settings_in, stock

ONE = ACME.replace("quantity: qty", "quantity: '\"1\"'").replace("revision: 1", "revision: 2")
"""Every quantity is 1."""
REKEYED = ACME.replace("event_id: [event]", "event_id: [event, store]").replace("revision: 1", "revision: 2")


@pytest.fixture
def settings(everywhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    quiet(monkeypatch)
    return settings_in(tmp_path, reload=0)


@pytest.fixture
def line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(settings, monkeypatch)


def spec(settings: Settings, text: str) -> Path:
    file = settings.data.parent / "new.yaml"
    file.write_text(text)
    return file


def written(settings: Settings) -> list[int | None]:
    """Keys, mappings, outcomes, and commands in the outbox or published."""
    with database(settings) as transaction:
        counted = [transaction.scalar(select(func.count()).select_from(t)) for t in (keys, mappings, outcomes)]
        waiting = transaction.scalar(select(func.count()).select_from(outbox).where(outbox.c.topic == CATALOG_COMMANDS))
        gone = transaction.scalar(select(func.count()).select_from(published))
        return [*counted, (waiting or 0) + (gone or 0)]


async def received(service: Service, *events: str) -> None:
    for event in events:
        await deliver(service, stock(event, a="5", b="6"))


def test_differences_are_counted_by_meaning_and_nothing_is_written(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        await received(service, "e-1", "e-2", "e-3")
        before = written(settings)
        assert await a_round(observer) == 3
        found = line.json("provider", "shadow", "acme")
        assert (found["state"], found["deliveries"], found["commands"], found["differing"]) == ("running", 3, 6, 3)
        assert found["says"] == ["6 quantities changed (UpdateStockLevel.quantity)"]
        assert (found["alarming"], found["lost"], found["left_out"]) == ({}, {}, 0)
        assert written(settings) == before

    observed(settings, steps)


def test_what_was_received_before_and_what_was_seen_is_not_compared_again(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        await received(service, "e-0")
        await asyncio.sleep(0.01)  # ids are ordered by the millisecond
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        await received(service, "e-1")
        assert [await a_round(observer), await a_round(observer)] == [1, 0]
        await received(service, "e-2")
        await a_round(observer)
        assert line.json("provider", "shadow", "acme")["deliveries"] == 2

    observed(settings, steps)


def test_examples_are_few_and_sensitive_fields_are_masked(settings: Settings, line: Line) -> None:
    text = ONE.replace("revision: 2", "revision: 2\nsensitive: [items.sku, note]")
    live = ACME.replace("revision: 1", "revision: 1\nsensitive: [items.sku, note]")
    (settings.providers / "acme.yaml").write_text(live)

    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, text))
        for n in range(8):
            await deliver(service, {**stock(f"e-{n}", secretsku="5"), "note": "call 555 0199"})
        await a_round(observer)
        found = line.json("provider", "shadow", "acme")
        assert len(found["examples"]) == 3
        assert all("secretsku" not in json.dumps(one) and "0199" not in json.dumps(one) for one in found["examples"])
        document = json.loads(found["examples"][0]["payload"])
        assert document["items"] == [{"sku": "[masked]", "qty": "5"}]
        assert (document["note"], document["event"]) == ("[masked]", "e-0")

    observed(settings, steps)


def test_beyond_its_rate_deliveries_are_left_out_and_counted(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE), "--rate", "1")
        await received(service, *(f"e-{n}" for n in range(9)))
        assert await a_round(observer, seconds=3.0) in (3, 4)
        found = line.json("provider", "shadow", "acme")
        assert found["deliveries"] + found["left_out"] == 9
        assert found["left_out"] in (5, 6)

    observed(settings, steps)


def test_an_erased_payload_is_in_no_example(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        await received(service, "e-1")
        await a_round(observer)
        [example] = line.json("provider", "shadow", "acme")["examples"][:1]
        with database(settings) as transaction:
            [before] = shadows.running(transaction)
        line.run("delivery", "erase", example["delivery"], "--why", "asked for", "--yes")
        with database(settings, writing=True) as transaction:
            # A round that was under way when it was erased.
            counts, examples = dict(before.counts), (before.examples, before.examples)
            shadows.note(transaction, before.id, before.position, before.live_hash, counts, examples, "")
        found = line.json("provider", "shadow", "acme")
        assert (found["examples"], found["differing"]) == ([], 1)

    observed(settings, steps)


def test_large_bodies_are_left_alone_and_counted(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        await deliver(service, {**stock("e-1"), "note": "x" * (LARGEST + 1)})
        await received(service, "e-2")
        await a_round(observer)
        found = line.json("provider", "shadow", "acme")
        assert (found["deliveries"], found["lost"]) == (1, {"too_large": 1})

    observed(settings, steps)


def test_of_several_processes_one_observes_and_another_takes_over_at_its_end(settings: Settings, line: Line) -> None:
    if settings.embedded:
        pytest.skip("there is one process on SQLite")

    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        other = service._observer()
        other._owner, other._lag = "another", observer._lag
        await received(service, "e-1")
        assert [await a_round(observer), await a_round(other)] == [1, 0]
        await received(service, "e-2")
        assert await a_round(other) == 0
        await observer._give_back()
        assert await a_round(other) == 1
        await other._side.close()

    observed(settings, steps)


def test_a_count_begins_again_when_another_revision_serves(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        await received(service, "e-1")
        await a_round(observer)
        changed = load_text(ACME.replace("Acme Tills", "Acme"), schemas.canon())
        await service.journal.keep_spec(changed)
        service.providers["acme"] = changed
        await received(service, "e-2")
        await a_round(observer)
        found = line.json("provider", "shadow", "acme")
        assert (found["deliveries"], found["live_hash"]) == (1, changed.spec_hash)

    observed(settings, steps)


def test_without_a_shadow_no_process_is_started(settings: Settings) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        await received(service, "e-1")
        assert await a_round(observer) == 0
        assert not observer._side.runs

    observed(settings, steps)


def test_a_process_that_was_killed_is_told_and_started_anew(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        await received(service, "e-1")
        await a_round(observer)
        assert observer._side._process is not None
        observer._side._process.kill()
        await received(service, "e-2")
        await a_round(observer)
        assert "the process ended" in line.json("provider", "shadow", "acme")["problem"]
        await received(service, "e-3")
        await a_round(observer)
        found = line.json("provider", "shadow", "acme")
        assert (found["problem"], found["deliveries"]) == ("", 2)

    observed(settings, steps)


def test_metrics_count_what_came_of_deliveries(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        await received(service, "e-1", "e-2")
        await a_round(observer)
        value = service.metrics.registry.get_sample_value
        assert value("tiffin_shadow_deliveries_total", {"provider": "acme", "result": "different"}) == 2
        assert value("tiffin_shadow_differences_total", {"provider": "acme", "kind": "field"}) == 4

    observed(settings, steps)


def test_a_stopped_shadow_keeps_what_it_found_and_another_may_start(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        assert "Stop it first" in line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE), status=1).stderr
        await received(service, "e-1")
        await a_round(observer)
        line.run("provider", "shadow", "acme", "--stop")
        await received(service, "e-2")
        assert await a_round(observer) == 0
        found = line.json("provider", "shadow", "acme")
        assert (found["state"], found["deliveries"]) == ("stopped", 1)
        line.run("provider", "shadow", "acme", "--spec", spec(settings, REKEYED))
        assert line.json("provider", "shadow", "acme")["deliveries"] == 0

    observed(settings, steps)


# ---- promoting ----


def test_a_file_that_does_not_check_is_refused_with_the_reason(settings: Settings, line: Line) -> None:
    wrong = spec(settings, ACME.replace("quantity: qty", "quantty: qty"))
    said = line.run("provider", "shadow", "acme", "--spec", wrong, status=1).stderr
    assert "did you mean quantity" in said


def test_changed_keys_are_refused_unless_they_are_accepted(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, REKEYED))
        await received(service, "e-1", "e-2")
        await a_round(observer)
        said = line.run("provider", "promote", "acme", status=1).stderr
        assert "idempotency keys changed" in said
        assert "(--accept idempotency_key)" in said
        kinds = line.json("provider", "shadow", "acme")["alarming"]
        accepted = [part for kind in kinds for part in ("--accept", kind)]
        told = json.loads(line.run("provider", "promote", "acme", *accepted, "--why", "agreed", "--json").stdout)
        assert told["revision"] == 2

    observed(settings, steps)
    with database(settings) as transaction:
        [row] = promotions.of(transaction, "acme")
        assert row.revision == 2
        found = next(one for one in audit.entries(transaction) if one.what == "provider.promote")
        assert (found.why, json.loads(found.data)["compared"]) == ("agreed", 2)
        assert shadows.running(transaction) == []


def test_what_was_never_compared_is_refused(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        assert "has compared no delivery" in line.run("provider", "promote", "acme", status=1).stderr
        line.run("provider", "promote", "acme", "--accept", "unseen")

    observed(settings, steps)


def test_what_emits_otherwise_under_the_same_revision_is_refused(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE.replace("revision: 2", "revision: 1")))
        await received(service, "e-1")
        await a_round(observer)
        assert "was not raised above 1" in line.run("provider", "promote", "acme", status=1).stderr

    observed(settings, steps)


def test_overrides_that_do_not_fit_the_new_file_are_told(settings: Settings, line: Line) -> None:
    override = settings.data.parent / "override.yaml"
    override.write_text("feeds: {stock: {commands: {stock: {fields: {quantity: left}}}}}\n")
    line.run("connection", "override", "one", override)
    renamed = ACME.replace("      stock:\n        command", "      levels:\n        command").replace(
        "revision: 1", "revision: 2"
    )

    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, renamed))
        said = line.run("provider", "promote", "acme", "--accept", "unseen", status=1).stderr
        assert "the overrides of one do not fit it" in said
        assert "(--accept overrides)" in said

    observed(settings, steps)


def test_a_promotion_serves_after_it_began_and_a_rollback_takes_it_back(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE))
        await received(service, "e-1")
        await a_round(observer)
        line.run("provider", "promote", "acme")
        assert "serves already" not in line.run("provider", "rollback", "acme").output
        assert "nothing was promoted" in line.run("provider", "rollback", "acme", status=1).stderr

    observed(settings, steps)
    found = line.json("provider", "revisions", "acme")
    assert found["hash"] == found["file_hash"]
    assert [one["serves"] for one in found["promotions"]] == [False]


def test_the_text_that_serves_can_be_put_into_the_folder(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        assert line.run("provider", "revisions", "acme", "--text").stdout == ACME

    observed(settings, steps)


def test_a_folder_that_no_server_has_loaded_is_refused(settings: Settings, line: Line) -> None:
    async def steps(service: Service, observer: Observer) -> None:
        file = settings.providers / "acme.yaml"
        file.write_text(file.read_text() + "# changed\n")
        said = line.run("provider", "shadow", "acme", "--spec", spec(settings, ONE), status=1).stderr
        assert "No server has loaded" in said

    observed(settings, steps)
