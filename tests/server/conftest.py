from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from flows.service import Service
from flows.settings import Settings
from server.app import create_app
from server.run import OPTIONS
from tests.flows.scenery import SECRET, settings_in, signed


class Server(uvicorn.Server):
    """A uvicorn that says when it listens and may run outside of the main thread."""

    def __init__(self, service: Service) -> None:
        super().__init__(uvicorn.Config(create_app(service), port=0, **OPTIONS))
        self.ready = threading.Event()

    async def startup(self, sockets=None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @property
    def port(self) -> int:
        return self.servers[0].sockets[0].getsockname()[1]


class Running:
    """A server that runs in a thread, with a client of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.service = Service(settings)
        self._server = Server(self.service)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        assert self._server.ready.wait(30)
        assert self._server.started, "the server did not start: see the log"
        self.port = self._server.port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def stop(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(30)

    def post(self, document, path="/v1/integrations/pos/acme/webhooks/stock", secret=SECRET, **options):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.client.post(
            path, content=body, headers={**signed(body, secret), **options.pop("headers", {})}, **options
        )


@pytest.fixture
def settings(tmp_path: Path, monkeypatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return settings_in(tmp_path, max_body=200_000)


@pytest.fixture
def start():
    """Starts servers that are stopped at the end of the test."""
    with contextlib.ExitStack() as stack:

        def begin(settings: Settings) -> Running:
            running = Running(settings)
            stack.callback(running.stop)
            return running

        yield begin


@pytest.fixture
def running(settings, start) -> Running:
    return start(settings)
