"""tiffin mapping suggestions: from two providers' webhooks to a person's decision."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import tiffin
from engine.messages import Ref
from engine.views import Entity, EntityKey
from flows.settings import Settings
from stores import mappings, views
from tests.flows.scenery import database, settings_in


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Views of three items of two providers, two of them the same thing."""
    monkeypatch.chdir(tmp_path)
    made = settings_in(tmp_path)
    goods = (("acme", "A-1", "itm_a", "Rice 500 g"), ("gate", "G-1", "itm_b", "RICE 0.5 kg"),
             ("gate", "G-2", "itm_c", "Dal 1 kg"))  # fmt: skip
    with database(made, writing=True) as transaction:
        for provider, external, canonical, name in goods:
            ref = Ref("item", "", external)
            mappings.set_mapping(transaction, "north", provider, ref, canonical, datetime.now(UTC), "test")
            key = EntityKey("catalogue", "north", "mer_1", "item", canonical)
            views.save(transaction, [Entity(key, "mer_1", "", {"name": name}, {}, {}, True, "", 1)], ())
    return made


def run(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(tiffin, ["mapping", "suggestions", *arguments, "--data", str(settings.data)])


def test_what_the_views_have_is_compared_listed_and_accepted(settings: Settings) -> None:
    assert json.loads(run(settings, "find", "--json").output) == {"entities": 3, "suggestions": 1}
    assert run(settings, "find").output == "3 compared, 0 suggested anew\n"
    (one,) = json.loads(run(settings, "list", "--json").output)
    assert (one["external_id"], one["current_id"], one["suggested_id"], one["score"]) == ("G-1", "itm_b", "itm_a", 99)
    assert "itm_a" in run(settings, "list", "--provider", "gate").output
    done = run(settings, "accept", str(one["id"]))
    assert (done.exit_code, done.output) == (0, f"{one['id']}: gate item G-1 → itm_a\n")
    with database(settings) as transaction:
        ref = Ref("item", "", "G-1")
        assert mappings.resolve(transaction, "north", "gate", [ref]) == {ref: "itm_a"}
    assert run(settings, "list").output == "No open suggestions.\n"


def test_one_that_was_decided_keeps_no_other_from_it(settings: Settings) -> None:
    run(settings, "find")
    done = run(settings, "reject", "77", "1", "--why", "another crop", "--json")
    assert done.exit_code == 1
    assert json.loads(done.output) == {"done": [1], "refused": ["77: there is no such suggestion"]}
    assert json.loads(run(settings, "list", "--state", "rejected", "--json").output)[0]["id"] == 1
    assert json.loads(run(settings, "find", "--json").output)["suggestions"] == 0


def test_ids_are_numbers(settings: Settings) -> None:
    assert run(settings, "accept", "x").exit_code == 2
    assert run(settings, "accept").exit_code == 2
