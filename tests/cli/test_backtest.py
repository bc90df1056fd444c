"""`tiffin backtest`: two provider files over stored deliveries of database and archive."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select, update

import schemas
from cli.main import tiffin
from flows.providers import load_text
from flows.settings import Settings
from stores import promotions, specs
from stores.tables import deliveries, outcomes
from tests.flows.scenery import ACME, SECRET, database, deliver, settings_in, started, stock

DAYS = 10 * 86_400_000_000


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A data folder with three deliveries, two of which are archived."""
    folder = tmp_path_factory.mktemp("backtest")
    settings = settings_in(folder)

    async def receive(*documents: dict[str, Any]) -> None:
        async with started(settings) as service:
            for document in documents:
                await deliver(service, document)

    asyncio.run(receive(stock("e-1", a="5", b="6"), stock("e-2", a="17")))
    with database(settings, writing=True) as transaction:
        transaction.execute(update(deliveries).values(received_at=deliveries.c.received_at - DAYS))
    packed = CliRunner().invoke(tiffin, ["archive", "run", "--data", str(settings.data)])
    assert packed.exit_code == 0
    asyncio.run(receive(stock("e-3", a="x")))
    return settings


def backtested(settings: Settings, text: str, *more: str) -> Result:
    spec = settings.data.parent / "new.yaml"
    spec.write_text(text)
    arguments = ["backtest", "acme", "--spec", str(spec), "--old", str(settings.providers / "acme.yaml")]
    return CliRunner().invoke(
        tiffin, [*arguments, "--data", str(settings.data), "--processes", "1", *more], catch_exceptions=False
    )


def told(settings: Settings, text: str, *more: str) -> Any:
    return json.loads(backtested(settings, text, "--json", *more).stdout)


def test_an_equal_file_changes_nothing(settings: Settings) -> None:
    result = backtested(settings, ACME.replace("title: Acme Tills", "title: Acme"))
    assert result.exit_code == 0
    assert result.output == "3 deliveries, 3 commands, 0 differ\n"


def test_changed_values_are_counted_over_database_and_archive(settings: Settings) -> None:
    found = told(settings, ACME.replace("quantity: qty", "quantity: '\"1\"'"))
    assert (found["deliveries"], found["differing"], found["lost"]) == (3, 3, {})
    assert "3 quantities changed (UpdateStockLevel.quantity)" in found["says"]
    assert "1 failure validation/not_a_number no longer" in found["says"]


def test_a_change_of_values_alone_ends_with_status_0_unless_differences_fail(settings: Settings) -> None:
    text = ACME.replace("quantity: qty", "quantity: '\"1\"'")
    assert backtested(settings, text).exit_code == 0
    assert backtested(settings, text, "--fail-on", "differences").exit_code == 1


def test_a_changed_idempotency_key_is_an_alarm_and_fails(settings: Settings) -> None:
    result = backtested(settings, ACME.replace("event_id: [event]", "event_id: [event, store]", 1))
    assert result.exit_code == 1
    assert "3 idempotency keys changed" in result.output
    assert "alarms" in result.output


def test_a_changed_canonical_id_is_an_alarm(settings: Settings) -> None:
    found = told(settings, ACME.replace("item_id: sku, quantity", "item_id: '\"x\" & sku', quantity", 1))
    assert found["alarms"] > 0
    assert "3 canonical ids changed (UpdateStockLevel.item_id)" in found["says"]


def test_examples_show_delivery_and_payload_without_what_is_secret(settings: Settings) -> None:
    found = told(settings, ACME.replace("quantity: qty", "quantity: '\"1\"'"), "--examples", "1")
    changed = next(one for one in found["examples"] if one["kind"] == "field")
    assert json.loads(changed["payload"])["event"] == "e-1"
    assert changed["after"] == {"amount": "1", "unit": "each"}
    assert SECRET not in json.dumps(found)


def test_since_leaves_out_what_came_before(settings: Settings) -> None:
    assert told(settings, ACME, "--since", "1d")["deliveries"] == 1


def test_a_feed_that_the_new_file_lacks_is_told(settings: Settings) -> None:
    start, _, rest = ACME.partition("  stock:\n    scope")
    text = start + "  levels:\n    scope" + rest
    found = told(settings, text)
    assert "3 idempotency keys changed" in found["says"]
    assert any("feed_missing newly" in one for one in found["says"])


def test_nothing_is_written(settings: Settings) -> None:
    def count() -> int | None:
        with database(settings) as transaction:
            return transaction.scalar(select(func.count()).select_from(outcomes))

    before = count()
    backtested(settings, ACME.replace("quantity: qty", "quantity: '\"1\"'"))
    assert count() == before


def test_the_page_escapes_payloads(settings: Settings, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    backtested(settings, ACME.replace("quantity: qty", "quantity: '\"<b>\"'"), "--html", str(page))
    assert "<h2>Examples</h2>" in page.read_text()
    assert "<b>" not in page.read_text()


def test_a_file_of_another_provider_is_refused(settings: Settings) -> None:
    result = backtested(settings, ACME.replace("provider: acme", "provider: acne"))
    assert result.exit_code == 1
    assert "the file of acne, not of acme" in result.output


def test_without_an_old_file_the_revision_that_serves_is_compared_with(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIFFIN_PROVIDERS", str(settings.providers))
    text = ACME.replace("quantity: qty", "quantity: '\"1\"'")
    promoted = load_text(text, schemas.canon())
    now = datetime.now(UTC)
    with database(settings, writing=True) as transaction:
        specs.save(transaction, promoted.spec_hash, "acme", 2, text, now)
        file_hash = load_text(ACME, schemas.canon()).spec_hash
        promotions.add(transaction, "acme", promoted.spec_hash, 2, file_hash, file_hash, now, "ann", now)
    spec = settings.data.parent / "new.yaml"
    spec.write_text(text)
    arguments = ["backtest", "acme", "--spec", str(spec), "--data", str(settings.data), "--processes", "1", "--json"]
    found = json.loads(CliRunner().invoke(tiffin, arguments, catch_exceptions=False).stdout)
    assert (found["deliveries"], found["differing"]) == (3, 0)
