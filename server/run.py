"""Runs the server: uvicorn with uvloop and httptools, one process or several."""

from __future__ import annotations

import os
from typing import Any

from flows.settings import Settings
from server.admin import refuse_unsafe_bind

OPTIONS: dict[str, Any] = {
    "loop": "uvloop",
    "http": "httptools",
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


def run(settings: Settings, host: str = "127.0.0.1", port: int = 8000, workers: int = 1) -> None:
    """Serves until it is told to stop. Raises UnsafeBind and OneWorkerOnly before anything is opened."""
    import uvicorn

    refuse_unsafe_bind(settings, host)
    if workers > 1 and settings.embedded:
        raise OneWorkerOnly(
            "SQLite is written by one process: --workers above 1 needs PostgreSQL. Set TIFFIN_DATABASE_URL."
        )
    if workers == 1:
        uvicorn.run(application(settings), host=host, port=port, **OPTIONS)
        return
    _export(settings)
    uvicorn.run("server.run:from_environment", factory=True, host=host, port=port, workers=workers, **OPTIONS)


def application(settings: Settings):  # type: ignore[no-untyped-def]
    """The ASGI application of a service with these settings; starting it starts the service."""
    from flows.logging import configure_logging
    from flows.service import Service
    from server.app import create_app

    configure_logging(settings.log_level)
    return create_app(Service(settings, apart=True))


def from_environment():  # type: ignore[no-untyped-def]
    """What each of several worker processes runs."""
    return application(Settings())


def _export(settings: Settings) -> None:
    """Hands settings that were given otherwise than by the environment on to worker processes."""
    for name, value in settings.model_dump(exclude_unset=True).items():
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
        os.environ[f"TIFFIN_{name.upper()}"] = ",".join(value) if isinstance(value, tuple) else str(value)
