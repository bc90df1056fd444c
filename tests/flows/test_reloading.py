"""Hot reload of provider files in a running service."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from flows.reloading import Reloading
from flows.service import Service
from flows.settings import Settings
from stores.tables import specs
from tests.flows.scenery import ACME, database, deliver, settings_in, started, stock

QUIET = 3600.0
"""The loop of the service never looks by itself in these tests."""


class Lines:
    """A log that keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **said: Any) -> None:
        self.lines.append((event, said))

    warning = exception = info


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path, reload=QUIET)


def during(settings: Settings, steps: Callable[[Service, Reloading, Lines], Awaitable[None]]) -> None:
    async def run() -> None:
        async with started(settings) as service:
            reloading, lines = service._reloading(), Lines()
            reloading._log = lines  # type: ignore[assignment]
            await steps(service, reloading, lines)

    asyncio.run(run())


def write(settings: Settings, text: str, name: str = "acme") -> None:
    file = settings.providers / f"{name}.yaml"
    file.write_text(text)
    os.utime(file, ns=(10**18, 10**18))


async def looked(reloading: Reloading) -> str | None:
    """Two looks: the first sees the change, the second that it stays."""
    return await reloading.look() or await reloading.look()


def metric(service: Service, result: str) -> float | None:
    return service.metrics.registry.get_sample_value("tiffin_provider_reloads_total", {"result": result})


CHANGED = ACME.replace("quantity: qty", "quantity: left").replace("revision: 1", "revision: 2")
WRONG = ACME.replace("quantity: qty", "quantty: qty")


def test_a_changed_file_serves_the_next_request(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        write(settings, CHANGED)
        assert await looked(reloading) == "swapped"
        document = {"event": "e-1", "store": "R-1", "items": [{"sku": "a", "left": "5"}]}
        reply = await deliver(service, document)
        assert json.loads(reply.body)["verdict"] == "accepted"
        assert lines.lines == [("providers_swapped", {"changed": {"acme": 2}, "gone": []})]
        assert metric(service, "swapped") == 1

    during(settings, steps)


def test_a_wrong_file_is_refused_with_the_reason_and_the_old_ones_go_on(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        write(settings, WRONG)
        assert await looked(reloading) == "refused"
        assert json.loads((await deliver(service, stock())).body)["verdict"] == "accepted"
        ((event, said),) = lines.lines
        assert event == "providers_refused"
        line = next(n for n, text in enumerate(WRONG.splitlines(), 1) if "quantty" in text)
        (reason, *_) = (one for one in said["reasons"] if "did you mean quantity" in one)
        assert f"acme.yaml:{line}:" in reason
        assert metric(service, "refused") == 1

    during(settings, steps)


def test_of_two_changed_files_none_is_taken_when_one_is_wrong(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        before = dict(service.providers)
        write(settings, WRONG)
        gate = settings.providers / "gate.yaml"
        write(settings, gate.read_text().replace("revision: 1", "revision: 2"), "gate")
        assert await looked(reloading) == "refused"
        assert service.providers == before

    during(settings, steps)


def test_a_refused_file_is_told_once_and_taken_when_it_is_mended(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        write(settings, WRONG)
        assert await looked(reloading) == "refused"
        assert await looked(reloading) is None
        write(settings, CHANGED)
        assert await looked(reloading) == "swapped"

    during(settings, steps)


def test_a_file_that_still_changes_is_not_taken(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        for half in (CHANGED[:200], CHANGED[:400], CHANGED):
            write(settings, half)
            assert await reloading.look() is None
        assert await reloading.look() == "swapped"

    during(settings, steps)


def test_an_unchanged_provider_keeps_its_interpreter(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        gate = service.providers["gate"]
        write(settings, CHANGED)
        await looked(reloading)
        assert service.providers["gate"] is gate

    during(settings, steps)


def test_a_new_file_is_added_and_a_removed_one_goes(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        (settings.providers / "gate.yaml").unlink()
        write(settings, ACME.replace("provider: acme", "provider: apex"), "apex")
        assert await looked(reloading) == "swapped"
        assert set(service.providers) == {"acme", "apex"}

    during(settings, steps)


def test_an_emptied_folder_is_refused(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        for file in settings.providers.glob("*.yaml"):
            file.unlink()
        assert await looked(reloading) == "refused"
        assert set(service.providers) == {"acme", "gate"}

    during(settings, steps)


def test_the_new_text_is_durable_before_it_serves(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        write(settings, CHANGED)
        await looked(reloading)

    during(settings, steps)
    with database(settings) as transaction:
        texts = transaction.scalars(select(specs.c.text)).all()
    assert CHANGED in [text if isinstance(text, str) else text.decode() for text in texts]


def test_headers_that_become_secret_are_sealed_from_then_on(settings: Settings) -> None:
    async def steps(service: Service, reloading: Reloading, lines: Lines) -> None:
        auth = "auth: {all: [{scheme: hmac, algorithm: sha256, secret: key, signature: {header: X-Signature}}, "
        token = "{scheme: token, header: X-Token, secret: key}]}"
        start, _, rest = ACME.partition("auth: ")
        write(settings, start + auth + token + rest[rest.index("\n") :])
        assert await looked(reloading) == "swapped"
        assert b"x-token" in service.receiver._secrecy["acme"].headers

    during(settings, steps)


def test_without_the_setting_nothing_looks(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(settings_in(tmp_path, reload=0)) as service:
            counted = len(service._background)
        async with started(settings_in(tmp_path, reload=QUIET)) as service:
            assert len(service._background) == counted + 1

    asyncio.run(run())
