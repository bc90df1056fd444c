"""tiffin archive …"""

from __future__ import annotations

import secrets
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cli.options import Moment, data_option, json_option
from cli.output import print_json, print_json_line, print_table


@click.group()
def archive() -> None:
    """Raw payloads of older deliveries, as Parquet files in object storage.

    \b
    Example:
      tiffin archive run --before 7d
    """


def archive_of(store: Any) -> Any:
    """The archive of an open store (cli.store.Store), worked on by this process."""
    from cli.store import now
    from flows.archive import Archive
    from flows.journal import objects_of
    from flows.logging import configure_logging, logger

    configure_logging(store.settings.log_level)
    return Archive(
        read=store.read,
        write=store.write,
        objects=objects_of(store.settings),
        owner=secrets.token_hex(8),
        clock=now,
        new_id=lambda: secrets.token_hex(8),
        log=logger("tiffin.archive"),
    )


@archive.command()
@click.option(
    "--before", default="7d", show_default=True, type=Moment(), help="Pack whole days (UTC) that ended before then."
)
@click.option("--rescan", is_flag=True, help="Begin at the oldest delivery, not where the last run ended.")
@json_option
@data_option
def run(before: datetime, rescan: bool, as_json: bool, data: Path | None) -> None:
    """Packs raw payloads into segments by provider and day, verifies each, then trims their rows.

    Safe to interrupt and to run again. With --json one line a segment, and the sum at the end. Quarantined
    requests and deliveries in flight stay in the database.

    \b
    Example:
      tiffin archive run --before 30d
    """
    from cli.store import now, opened, operator
    from stores import audit

    segments = rows = size = 0
    with opened(data) as store:
        before = min(before, now())
        for one in archive_of(store).run(before, rescan=rescan):
            segments, rows, size = segments + 1, rows + one.rows, size + one.bytes
            if as_json:
                print_json_line(one._asdict())
            else:
                click.echo(f"{one.day}  {one.provider}  {one.rows} deliveries  {one.bytes} bytes  {one.segment}")
        told = {"segments": segments, "deliveries": rows, "bytes": size}
        if segments:
            store.write(lambda t: audit.append(t, now(), operator(), "archive.run", f"{segments} segments", data=told))
    if as_json:
        print_json_line(told)
    else:
        click.echo(f"{rows} deliveries in {segments} segments, {size} bytes")


@archive.command("list")
@click.option("--provider", help="Only this provider's.")
@json_option
@data_option
def list_(provider: str | None, as_json: bool, data: Path | None) -> None:
    """Lists segments by day and provider.

    \b
    Example:
      tiffin archive list --provider acme
    """
    from dataclasses import asdict

    from cli.store import opened
    from stores.archive import listed

    with opened(data) as store:
        found = store.read(lambda transaction: listed(transaction, provider))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [(one.day, one.provider, one.id, one.state, one.rows, one.bytes, one.key) for one in found]
    print_table(("day", "provider", "segment", "state", "deliveries", "bytes", "key"), rows, "Nothing is archived.")


@archive.command()
@click.option("--provider", help="Only this provider's.")
@json_option
@data_option
def verify(provider: str | None, as_json: bool, data: Path | None) -> None:
    """Reads every segment whole and compares it with what was written. Exit status 1 when one differs.

    With --json one line a segment.

    \b
    Example:
      tiffin archive verify
    """
    from cli.store import opened

    bad = count = 0
    with opened(data) as store:
        for segment, problem in archive_of(store).verify(provider):
            count, bad = count + 1, bad + bool(problem)
            if as_json:
                print_json_line({"segment": segment.id, "key": segment.key, "rows": segment.rows, "problem": problem})
            elif problem:
                click.echo(f"bad  {segment.day}  {segment.provider}  {segment.id}: {problem}")
    if not as_json:
        click.echo(f"{count} segments, {bad} bad")
    if bad:
        sys.exit(1)
