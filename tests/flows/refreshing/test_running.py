"""Fetching costs a server nothing before there is something to fetch."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from flows.refreshing.running import Refreshing
from tests.flows.scenery import settings_in, started

HOUSE = Path(__file__).parents[3]
HEAVY = ("httpx", "httpcore", "h11", "anyio", "flows.refreshing.fetcher", "flows.refreshing.pages")


def loaded_by(program: str) -> set[str]:
    said = f"{program}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], cwd=HOUSE, capture_output=True, text=True, check=True)
    return set(eval(done.stdout.splitlines()[-1]))


SERVICE = """
import asyncio, pathlib, tempfile
from flows.service import Service
from flows.settings import Settings
async def main():
    with tempfile.TemporaryDirectory() as data:
        service = Service(Settings(_env_file=None, data=pathlib.Path(data), providers=pathlib.Path("providers")))
        await service.start()
        await asyncio.sleep(SECONDS)
        await service.stop()
asyncio.run(main())
"""


@pytest.mark.parametrize("fetch", [True, False])
def test_a_server_that_is_not_to_fetch_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetch: bool) -> None:
    begun = asyncio.Event()

    async def run(_: Refreshing) -> None:
        begun.set()

    monkeypatch.setattr(Refreshing, "run", run)

    async def main() -> bool:
        async with started(settings_in(tmp_path, fetch=fetch)):
            await asyncio.sleep(0)
            return begun.is_set()

    assert asyncio.run(main()) is fetch


def test_a_server_without_a_connection_to_a_provider_that_fetches_loads_no_client() -> None:
    before = loaded_by("from flows.journal import Journal")
    assert loaded_by(SERVICE.replace("SECONDS", "0.5")) - before <= {"anyio"}
