"""Drift of live payloads: notices with samples, within bounds, and golden cases made of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from cli.main import tiffin
from flows.observing import drifting
from flows.observing.observer import Observer
from flows.service import Service
from flows.settings import Settings
from stores import drifts
from stores.tables import shapes
from tests.flows.observing.golden import golden
from tests.flows.observing.scenery import Line, Steps, a_round, observed, quiet
from tests.flows.scenery import ACME, database, deliver, settings_in, stock

PERSON = "Mira Devi 98450 55019"


@pytest.fixture
def settings(everywhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    quiet(monkeypatch)
    return settings_in(tmp_path, reload=0, drift=100)


@pytest.fixture
def line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(settings, monkeypatch)


def drifted(settings: Settings, steps: Steps) -> None:
    """Steps after the first look, which only says from where on deliveries are read."""

    async def run(service: Service, observer: Observer) -> None:
        await looked(observer)
        await asyncio.sleep(0.01)
        with database(settings, writing=True) as transaction:
            drifts.move(transaction, "drift", "0")
        await steps(service, observer)

    observed(settings, run)


async def looked(observer: Observer) -> int:
    observer._drift_at -= 30.0
    return await a_round(observer)


def new_field(event: str = "e-1") -> dict[str, Any]:
    return {**stock(event), "items": [{"sku": "a", "qty": "1"}, {"sku": PERSON, "qty": "2", "guest": PERSON}]}


def told(line: Line) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = line.json("notice", "list", "--kind", "drift")
    return found


def test_a_new_field_becomes_one_notice_however_often_it_comes(settings: Settings, line: Line, tmp_path: Path) -> None:
    golden(tmp_path)

    async def steps(service: Service, observer: Observer) -> None:
        for n in range(3):
            await deliver(service, new_field(f"e-{n}"))
        assert await looked(observer) == 3
        await deliver(service, new_field("e-3"))
        assert await looked(observer) == 1
        [notice] = told(line)
        assert (notice["provider"], notice["feed"], notice["connection"]) == ("acme", "stock", "one")
        assert notice["shown"]["says"] == "stock: items[].guest is new (text)"
        value = service.metrics.registry.get_sample_value
        labels = {"provider": "acme", "feed": "stock", "kind": "new_field"}
        assert value("tiffin_drifts_total", labels) == 1
        assert value("tiffin_drift_payloads_total", {"result": "looked"}) == 4

    drifted(settings, steps)


def test_the_sample_shows_the_drift_and_nothing_of_a_person(settings: Settings, line: Line, tmp_path: Path) -> None:
    golden(tmp_path)

    async def steps(service: Service, observer: Observer) -> None:
        await deliver(service, {**new_field(), "note": f"for {PERSON}"})
        await looked(observer)
        [notice] = told(line)
        sample = json.loads(notice["shown"]["sample"])
        assert (sample["store"], sample["event"], sample["note"]) == ("R-1", "g-1", "fresh today")
        [item] = sample["items"]
        assert (item["sku"], item["qty"]) == ("golden-a", "2")
        assert (len(item["guest"]), item["guest"] != PERSON) == (len(PERSON), True)
        everything = json.dumps(notice)
        assert not any(word in everything for word in ("Mira", "Devi", "98450", "55019"))

    drifted(settings, steps)


def test_sensitive_fields_are_masked_in_the_sample(settings: Settings, line: Line, tmp_path: Path) -> None:
    golden(tmp_path)
    file = settings.providers / "acme.yaml"
    file.write_text(ACME.replace("revision: 1", "revision: 1\nsensitive: [note]"))

    async def steps(service: Service, observer: Observer) -> None:
        await deliver(service, {**new_field(), "note": "the PIN is 4711"})
        await looked(observer)
        [notice] = told(line)
        assert json.loads(notice["shown"]["sample"])["note"] == "[masked]"

    drifted(settings, steps)


def test_new_types_and_values_are_told_with_a_number_as_it_was_written(
    settings: Settings, line: Line, tmp_path: Path
) -> None:
    golden(tmp_path)
    file = settings.providers / "acme.yaml"
    file.write_text(ACME.replace("each: items\n", 'each: items\n        when: $not(kind = "combo")\n'))

    async def steps(service: Service, observer: Observer) -> None:
        items = [{"sku": "a", "qty": 7, "kind": "thali"}, {"sku": "b", "qty": None}]
        await deliver(service, {"event": "e-1", "store": "R-1", "items": items})
        await looked(observer)
        found = {one["shown"]["what"]: one["shown"] for one in told(line)}
        assert found["new_value"]["says"] == "stock: items[].kind has the new value thali"
        assert json.loads(found["new_value"]["sample"])["items"] == [{"sku": "golden-a", "qty": 5, "kind": "thali"}]
        assert found["new_type"]["says"] == "stock: items[].qty was number, and is now null too"
        assert json.loads(found["new_type"]["sample"])["items"] == [{"sku": "golden-a", "qty": None}]

    drifted(settings, steps)


def test_what_varies_does_not_flood(settings: Settings, line: Line, tmp_path: Path) -> None:
    golden(tmp_path)

    async def steps(service: Service, observer: Observer) -> None:
        for n in range(30):
            await deliver(service, {**stock(f"e-{n}"), f"extra_{chr(97 + n % 26)}{n // 26}": "x"})
        await looked(observer)
        assert [one["shown"]["path"] for one in told(line)].count("*") == 1
        assert len(told(line)) == 6

    drifted(settings, steps)


def test_of_one_feed_only_so_many_are_noted(
    settings: Settings, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden(tmp_path)
    monkeypatch.setattr(drifts, "MOST", 2)

    async def steps(service: Service, observer: Observer) -> None:
        await deliver(service, {**stock("e-1"), "one": "x", "two": "x", "three": "x"})
        await looked(observer)
        assert len(told(line)) == 2

    drifted(settings, steps)


def test_a_removed_notice_does_not_come_again(settings: Settings, line: Line, tmp_path: Path) -> None:
    golden(tmp_path)

    async def steps(service: Service, observer: Observer) -> None:
        await deliver(service, new_field("e-1"))
        await looked(observer)
        line.run("notice", "remove", str(told(line)[0]["id"]))
        await deliver(service, new_field("e-2"))
        assert await looked(observer) == 1
        assert told(line) == []

    drifted(settings, steps)


def test_without_golden_cases_the_first_payloads_are_learned(settings: Settings, line: Line) -> None:
    before = 5

    async def steps(service: Service, observer: Observer) -> None:
        for n in range(before):
            await deliver(service, stock(f"e-{n}"))
        await looked(observer)
        with database(settings) as transaction:
            assert transaction.scalar(select(shapes.c.seen)) == before
        with database(settings, writing=True) as transaction:
            row = drifts.learned(transaction, "acme", "stock")
            learned = {"provider": "acme", "feed": "stock", "seen": drifting.LEARNED, "shape": row[1]}
            drifts.learn(transaction, [learned])
        await deliver(service, new_field("e-9"))
        await looked(observer)
        [notice] = told(line)
        assert notice["shown"]["path"] == "items[].guest"
        assert "Mira" not in json.dumps(notice)

    drifted(settings, steps)


def test_with_the_setting_0_nothing_is_looked_at(settings: Settings, tmp_path: Path) -> None:
    golden(tmp_path)

    async def steps(service: Service, observer: Observer) -> None:
        await deliver(service, new_field())
        assert await looked(observer) == 0
        assert not observer._side.runs

    observed(settings_in(tmp_path, reload=0, drift=0), steps)


def test_a_notice_becomes_a_golden_case_that_passes(settings: Settings, line: Line, tmp_path: Path) -> None:
    root = golden(tmp_path)
    assert CliRunner().invoke(tiffin, ["provider", "test", "acme", "--update", "--yes", "--root", str(tmp_path)])

    async def steps(service: Service, observer: Observer) -> None:
        await deliver(service, new_field("e-1"))
        await looked(observer)
        number = str(told(line)[0]["id"])
        shown = line.run("notice", "show", number).stdout
        assert "items[].guest is new (text)" in shown
        made = line.json("provider", "add-case", "acme", number, "--root", tmp_path)
        assert (made["case"], made["verdict"], made["commands"]) == (
            "acme-stock-new_field_items_guest_text", "accepted", 1,
        )  # fmt: skip
        assert told(line) == []
        await deliver(service, new_field("e-2"))
        await looked(observer)
        assert told(line) == []

    drifted(settings, steps)
    case = root / "acme" / "stock" / "new_field_items_guest_text"
    assert "items[].guest is new" in (case / "request.yaml").read_text()
    tested = CliRunner().invoke(tiffin, ["provider", "test", "acme", "--root", str(tmp_path)])
    assert (tested.exit_code, tested.output) == (0, "2 cases, 0 differ\n")


def test_a_case_is_made_of_what_show_printed_on_another_machine(settings: Settings, line: Line, tmp_path: Path) -> None:
    golden(tmp_path)

    async def steps(service: Service, observer: Observer) -> None:
        await deliver(service, new_field("e-1"))
        await looked(observer)
        file = tmp_path / "notice.json"
        file.write_text(line.run("notice", "show", str(told(line)[0]["id"]), "--json").stdout)
        line.run("provider", "add-case", "acme", file, "--case", "a_guest", "--root", tmp_path)
        again = line.run("provider", "add-case", "acme", file, "--case", "a_guest", "--root", tmp_path, status=1)
        assert "stands already" in again.stderr
        wrong = line.run("provider", "add-case", "acme", tmp_path / "providers" / "acme.yaml", status=1)
        assert "cannot be read as a notice" in wrong.stderr

    drifted(settings, steps)
    assert (tmp_path / "tests" / "golden" / "acme" / "stock" / "a_guest" / "body.json").exists()
