"""tiffin retention"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from cli.options import data_option, json_option
from cli.output import print_json


@click.command()
@json_option
@data_option
def retention(as_json: bool, data: Path | None) -> None:
    """Removes what has been kept for long enough, now. A server does so by itself.

    TIFFIN_KEEP_DELIVERIES, TIFFIN_KEEP_PUBLISHED and TIFFIN_QUARANTINE_DAYS say for how many days. Deliveries with
    open failures, in flight or waiting for the bus stay.

    \b
    Example:
      TIFFIN_KEEP_DELIVERIES=30 tiffin retention
    """
    from cli.store import opened

    with opened(data) as store:
        gone = asyncio.run(_removed(store))
    if as_json:
        print_json(gone._asdict())
    else:
        click.echo(
            f"{gone.deliveries} deliveries, {gone.published} rows of published commands, {gone.windows} windows, "
            f"{gone.quarantined} unverified requests"
        )


async def _removed(store: Any) -> Any:
    from cli.store import now
    from flows.retention import Retention

    async def write(job: Any) -> Any:
        with store.writing() as transaction:
            return job(transaction)

    settings = store.settings
    kept = Retention(
        write,
        now,
        deliveries_days=settings.keep_deliveries,
        published_days=settings.keep_published,
        quarantine_days=settings.quarantine_days,
    )
    return await kept.remove()
