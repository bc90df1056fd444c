"""tiffin serve, tiffin worker"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import click

from cli.options import data_option


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; a wider one needs TIFFIN_ADMIN_KEY."
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(min=1), help="Processes; above 1 needs PostgreSQL."
)
@click.option("--demo", is_flag=True, help="Seed a demo tenant and send every golden request.")
@click.option("--once", is_flag=True, help="With --demo: end after the table.")
@data_option
def serve(host: str, port: int, workers: int, demo: bool, once: bool, data: Path | None) -> None:
    """Serves webhooks and relays commands to the bus.

    \b
    Example:
      tiffin serve --port 8000
    """
    from cli.store import settings_of
    from server.run import run

    settings = settings_of(data)
    if once and not demo:
        raise click.UsageError("--once goes with --demo")
    if demo:
        from cli.demo import run_demo

        sys.exit(run_demo(settings, host, port, once))
    run(settings, host, port, workers)


@click.command()
@data_option
def worker(data: Path | None) -> None:
    """Relays commands to the bus and recovers deliveries, without serving.

    On the embedded set-up the server does this itself, so a worker is refused while one runs.

    \b
    Example:
      TIFFIN_DATABASE_URL=postgresql://… TIFFIN_KAFKA_BOOTSTRAP=kafka:9092 tiffin worker
    """
    from cli.store import settings_of
    from flows.logging import configure_logging

    settings = settings_of(data)
    configure_logging(settings.log_level)
    asyncio.run(_work(settings))


async def _work(settings: Any) -> None:
    from flows.service import Service

    service = Service(settings)
    await service.start()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        await service.stop()
