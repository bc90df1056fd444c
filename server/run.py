"""Runs the server: uvicorn with uvloop and httptools, one process or several."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import Any

from starlette.types import ASGIApp

from flows.logging import configure_logging
from flows.service import Service
from flows.settings import Settings
from server.admin import refuse_unsafe_bind
from server.app import create_app

OPTIONS: dict[str, Any] = {
    "loop": "uvloop",
    "http": "server.protocol:Protocol",
    "ws": "none",
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "date_header": False,
    # Whom to believe about the caller's address is TIFFIN_TRUSTED_PROXIES' matter.
    "proxy_headers": False,
    "timeout_keep_alive": 30,
    "timeout_graceful_shutdown": 30,
    "backlog": 2048,
}
"""How uvicorn serves, whatever the number of workers. Times are in seconds."""


class OneWorkerOnly(Exception):
    """Several workers were asked for on SQLite, which one process writes."""


class AddressTaken(Exception):
    """The address to listen on is not free, or is not this machine's."""


class Serving:
    """One service behind one listening socket."""

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        """Takes the address before anything else is opened. `port` 0 takes any. Raises AddressTaken and UnsafeBind."""
        import uvicorn

        self._socket, settings = _taken(settings, host, port)
        self.settings = settings
        self._service, app = application(settings)
        self.server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, **OPTIONS))

    def run(self) -> None:
        """Serves until it is told to stop. Raises what kept the service from starting: see Service.start."""
        # uvicorn raises the signal that ended it once more: a stop that was asked for is no fault.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit(0))
        try:
            with self._socket:
                self.server.run(sockets=[self._socket])
        except SystemExit:
            if self._service.not_started is None:
                raise
        if self._service.not_started is not None:
            raise self._service.not_started


def _taken(settings: Settings, host: str, port: int) -> tuple[socket.socket, Settings]:
    """The listening socket, and the settings with its public URL where none is set."""
    refuse_unsafe_bind(settings, host)
    taken = _listening(host, port)
    if "public_url" not in settings.model_fields_set:
        shown = f"[{host}]" if ":" in host else host
        settings = settings.model_copy(update={"public_url": f"http://{shown}:{taken.getsockname()[1]}"})
        settings.model_fields_set.add("public_url")
    return taken, settings


def _listening(host: str, port: int) -> socket.socket:
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            # Whoever calls from now on waits; without it two servers could both take the address.
            found.listen(OPTIONS["backlog"])
        except OSError:
            found.close()
            raise
    except OSError as error:
        raise AddressTaken(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another --port or --host."
        ) from None
    return found


def run(settings: Settings, host: str = "127.0.0.1", port: int = 8000, workers: int = 1) -> None:
    """Serves until it is told to stop.

    Raises UnsafeBind, AddressTaken and OneWorkerOnly before anything is opened, and what keeps a service from
    starting: see Service.start.
    """
    if workers > 1 and settings.embedded:
        raise OneWorkerOnly(
            "SQLite is written by one process: --workers above 1 needs PostgreSQL. Set TIFFIN_DATABASE_URL."
        )
    if workers == 1:
        Serving(settings, host, port).run()
        return
    _serve_in_processes(settings, host, port, workers)


def _serve_in_processes(settings: Settings, host: str, port: int, workers: int) -> None:
    """Each worker process has a writer process of its own; they share the socket. A worker that ends is replaced."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    configure_logging(settings.log_level)
    taken, settings = _taken(settings, host, port)
    with taken:
        # What one of them cannot start by is said here, once: they would be started again and again.
        asyncio.run(_tried(settings))
        _export(settings)
        config = uvicorn.Config("server.run:from_environment", factory=True, workers=workers, **OPTIONS)
        Multiprocess(config, [taken]).run()


async def _tried(settings: Settings) -> None:
    service = Service(settings, serving=False)
    await service.start()
    await service.stop()


def application(settings: Settings, *, patient: bool = False) -> tuple[Service, ASGIApp]:
    """A service with these settings and its ASGI application; starting this starts that."""
    configure_logging(settings.log_level)
    service = Service(settings, apart=True, patient=patient)
    return service, create_app(service)


def from_environment() -> ASGIApp:
    """What each of several worker processes runs."""
    # One that is started again while the database is away must not take the others with it.
    return application(Settings(), patient=True)[1]


def _export(settings: Settings) -> None:
    """Hands settings that were given otherwise than by the environment on to worker processes."""
    for name, value in settings.model_dump(exclude_unset=True).items():
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
        os.environ[f"TIFFIN_{name.upper()}"] = ",".join(value) if isinstance(value, tuple) else str(value)
