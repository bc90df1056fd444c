"""Fetching costs a server nothing before there is something to fetch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def test_a_server_without_a_connection_to_a_provider_that_fetches_loads_no_client() -> None:
    before = loaded_by("from flows.journal import Journal")
    assert loaded_by(SERVICE.replace("SECONDS", "0.5")) - before <= {"anyio"}
