"""A service that observes when it is told to, and the command line beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import tiffin
from flows.observing import observer
from flows.observing.observer import Observer
from flows.service import Service
from flows.settings import Settings

Steps = Callable[[Service, Observer], Awaitable[None]]


def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The services' own observers look once, at their start."""
    monkeypatch.setattr(observer, "PACE", 3600.0)


def observed(settings: Settings, steps: Steps) -> None:
    """Runs steps beside a service; the observer takes what was received just now as well."""

    async def run() -> None:
        service = Service(settings)
        await service.start()
        watching = service._observer()
        watching._lag = timedelta(seconds=-1)
        try:
            await steps(service, watching)
        finally:
            await watching._side.close()
            await service.stop()

    asyncio.run(run())


async def a_round(observer: Observer, seconds: float = 25.0) -> int:
    """A round as if the last one was so long ago."""
    observer._since = perf_counter() - seconds
    return await observer.round()


class Line:
    """The command line on the settings' data folder and database."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self._data = settings.data
        monkeypatch.setenv("TIFFIN_PROVIDERS", str(settings.providers))
        if settings.database_url:
            monkeypatch.setenv("TIFFIN_DATABASE_URL", settings.database_url)
            monkeypatch.setenv("TIFFIN_SECRET_KEY", settings.secret_key.get_secret_value())

    def run(self, *arguments: str | Path, status: int = 0) -> Result:
        found = CliRunner().invoke(tiffin, [*map(str, arguments), "--data", str(self._data)])
        assert found.exit_code == status, (found.output, found.exception)
        return found

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)
