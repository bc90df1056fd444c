"""tiffin audit …"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.options import data_option, json_option
from cli.output import print_json, print_table


@click.group()
def audit() -> None:
    """What operators did.

    \b
    Example:
      tiffin audit verify
    """


@audit.command("list")
@click.option("--limit", default=50, show_default=True, help="How many at the most.")
@json_option
@data_option
def list_(limit: int, as_json: bool, data: Path | None) -> None:
    """Lists who did what to what, the newest first.

    \b
    Example:
      tiffin audit list --limit 10
    """
    from dataclasses import asdict

    from cli.store import opened
    from stores import audit as entries

    with opened(data) as store, store.reading() as transaction:
        found = entries.entries(transaction, limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(("id", "at", "who", "what", "target", "why", "data"),
                [(e.id, e.at, e.who, e.what, e.target, e.why, e.data) for e in found], "Nothing yet.")  # fmt: skip


@audit.command()
@json_option
@data_option
def verify(as_json: bool, data: Path | None) -> None:
    """Verifies that no entry was changed or removed. Exit status 1 when one was.

    \b
    Example:
      tiffin audit verify
    """
    from cli.store import opened
    from stores import audit as entries

    with opened(data) as store, store.reading() as transaction:
        count, broken = entries.first_broken(transaction)
    if as_json:
        print_json({"verified": count, "first_broken": broken})
    elif broken is None:
        click.echo(f"{count} entries, unbroken")
    else:
        click.echo(f"entry {broken} does not fit the one before; {count} entries before it do", err=True)
    if broken is not None:
        sys.exit(1)
