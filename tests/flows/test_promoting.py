"""Which revision serves: the folder's file, or what was promoted over it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import schemas
from engine.problems import ProviderFileError
from flows.promoting import live, met_others, next_moment
from flows.providers import LoadedProvider, load_text
from flows.reloading import Reloading
from flows.service import Service
from flows.settings import Settings
from stores import promotions, specs
from stores.promotions import Promotion
from tests.flows.scenery import ACME, database, deliver, settings_in, started

AT = datetime(2026, 2, 3, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUIET = 3600.0
LEFT = {"store": "R-1", "items": [{"sku": "a", "left": "5"}]}
NEW = ACME.replace("quantity: qty", "quantity: left").replace("revision: 1", "revision: 2")
NEWER = ACME.replace("quantity: qty", "quantity: remains").replace("revision: 1", "revision: 3")


def row(id: int, hash: str, **other: Any) -> Promotion:
    told = {"provider": "acme", "revision": 2, "file_hash": "file", "former": "file", "at": AT, "who": "ann",
            "begins_at": AT, "ends_at": None, "settled_at": None}  # fmt: skip
    return Promotion(id=id, hash=hash, **{**told, **other})


def serves(*rows: Promotion, file: str = "file", serving: str = "", at: datetime = AT) -> str:
    found = live(file, serving, rows, at)
    return found.hash if found else file


def test_without_a_promotion_the_file_serves() -> None:
    assert serves() == "file"


def test_a_promotion_serves_from_its_moment_on() -> None:
    later = row(1, "new", begins_at=AT + MINUTE)
    assert (serves(later), serves(later, at=AT + MINUTE)) == ("file", "new")


def test_of_two_promotions_the_later_serves_and_when_it_ends_the_earlier() -> None:
    rows = row(1, "new"), row(2, "newer", ends_at=AT + MINUTE)
    assert (serves(*rows), serves(*rows, at=AT + MINUTE)) == ("newer", "new")


def test_another_file_in_the_folder_serves_itself() -> None:
    assert serves(row(1, "new"), file="another") == "another"


def test_what_is_settled_goes_on_where_it_serves_and_begins_nowhere() -> None:
    settled = row(1, "new", settled_at=AT)
    assert (serves(settled, serving="new"), serves(settled)) == ("new", "file")


def test_a_promotion_has_met_another_file_once_it_has_begun() -> None:
    rows = row(1, "new"), row(2, "newer", begins_at=AT + MINUTE), row(3, "old", settled_at=AT)
    assert met_others(rows, {"acme": "another"}, AT) == [1]
    assert met_others(rows, {"acme": "file"}, AT) == []


def test_the_next_moment_is_the_nearest_to_come() -> None:
    rows = row(1, "a", ends_at=AT + 3 * MINUTE), row(2, "b", begins_at=AT + 2 * MINUTE)
    assert next_moment(rows, AT) == AT + 2 * MINUTE
    assert next_moment([row(1, "a")], AT) is None


# ---- in a service ----


@pytest.fixture
def settings(everywhere: str, tmp_path: Path) -> Settings:
    return settings_in(tmp_path, reload=QUIET)


def hash_of(settings: Settings) -> str:
    return load_text((settings.providers / "acme.yaml").read_text(), schemas.canon()).spec_hash


def promote(settings: Settings, text: str, file_hash: str, begins_at: datetime | None = None) -> str:
    made: LoadedProvider = load_text(text, schemas.canon())
    now = datetime.now(UTC)
    revision = made.interpreter.provider.revision
    with database(settings, writing=True) as transaction:
        specs.save(transaction, made.spec_hash, "acme", revision, text, now)
        promotions.add(
            transaction, "acme", made.spec_hash, revision, file_hash, file_hash, now, "ann", begins_at or now
        )
    return made.spec_hash


def rolled_back(settings: Settings) -> None:
    now = datetime.now(UTC)
    with database(settings, writing=True) as transaction:
        promotions.end(transaction, promotions.standing(transaction, now)[-1].id, now)


def write(settings: Settings, text: str, at: int) -> None:
    file = settings.providers / "acme.yaml"
    file.write_text(text)
    os.utime(file, ns=(10**18 + at, 10**18 + at))


Steps = Callable[[Service, Reloading], Awaitable[None]]


def during(settings: Settings, steps: Steps) -> None:
    async def run() -> None:
        async with started(settings) as service:
            await steps(service, service._reloading())

    asyncio.run(run())


async def verdict(service: Service, event: str) -> str:
    """`accepted` where what serves reads `left`."""
    found: str = json.loads((await deliver(service, {"event": event, **LEFT})).body)["verdict"]
    return found


def test_a_promoted_revision_serves_and_a_rollback_returns_to_the_file(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading) -> None:
        before = service.providers["acme"].spec_hash
        new = promote(settings, NEW, before)
        assert await reloading.look() == "swapped"
        assert service.providers["acme"].spec_hash == new
        assert await verdict(service, "e-1") == "accepted"
        rolled_back(settings)
        assert await reloading.look() == "swapped"
        assert service.providers["acme"].spec_hash == before
        assert await verdict(service, "e-2") != "accepted"

    during(settings, steps)


def test_a_service_that_starts_serves_what_was_promoted(settings: Settings) -> None:
    async def nothing(service: Service, reloading: Reloading) -> None:
        return

    async def steps(service: Service, reloading: Reloading) -> None:
        assert await verdict(service, "e-1") == "accepted"

    during(settings, nothing)
    promote(settings, NEW, hash_of(settings))
    during(settings, steps)


def test_a_changed_file_serves_and_the_promotion_does_not_come_back_with_the_old_one(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading) -> None:
        promote(settings, NEW, service.providers["acme"].spec_hash)
        await reloading.look()
        for at, text, revision in ((1, NEWER, 3), (2, ACME, 1)):
            write(settings, text, at)
            assert [await reloading.look(), await reloading.look()] == [None, "swapped"]
            assert service.providers["acme"].interpreter.provider.revision == revision

    during(settings, steps)


def test_the_promoted_text_in_the_folder_changes_nothing(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading) -> None:
        promote(settings, NEW, service.providers["acme"].spec_hash)
        await reloading.look()
        before = service.providers["acme"].interpreter.provider
        write(settings, NEW, 1)
        assert [await reloading.look(), await reloading.look()] == [None, None]
        assert service.providers["acme"].interpreter.provider is before

    during(settings, steps)


def test_what_begins_later_is_compiled_before_and_looked_for_at_its_moment(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading) -> None:
        hash = promote(settings, NEW, service.providers["acme"].spec_hash, datetime.now(UTC) + timedelta(seconds=600))
        assert await reloading.look() is None
        assert hash in service.revisions._made
        assert 590 < service.revisions.pause(QUIET) <= 600

    during(settings, steps)


def test_a_promoted_text_that_does_not_load_keeps_a_service_from_starting_and_says_how_to_return(
    settings: Settings,
) -> None:
    with database(settings, writing=True) as transaction:
        now = datetime.now(UTC)
        specs.save(transaction, "0" * 64, "acme", 2, "spec: tiffin/v1\n", now)
        promotions.add(transaction, "acme", "0" * 64, 2, hash_of(settings), "", now, "ann", now)

    async def run() -> None:
        async with started(settings):
            pass

    with pytest.raises(ProviderFileError) as raised:
        asyncio.run(run())
    assert "tiffin provider rollback acme" in str(raised.value.problems[-1])


def test_a_promoted_text_that_does_not_load_is_left_out_while_a_service_runs(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading) -> None:
        with database(settings, writing=True) as transaction:
            now = datetime.now(UTC)
            specs.save(transaction, "0" * 64, "acme", 2, "spec: tiffin/v1\n", now)
            promotions.add(transaction, "acme", "0" * 64, 2, hash_of(settings), "", now, "ann", now)
        assert await reloading.look() is None
        assert service.providers["acme"].spec_hash == hash_of(settings)

    during(settings, steps)
