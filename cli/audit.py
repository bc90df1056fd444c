"""tiffin audit …"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cli.errors import InputProblem
from cli.options import data_option, filter_options, json_option
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
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@filter_options("since")
@data_option
def export(file: Path | None, since: datetime | None, data: Path | None) -> None:
    """Writes the audit, the oldest entry first, one JSON object a line; to standard output without a FILE.

    Kept elsewhere, it shows later whether the audit was written anew: tiffin audit verify --against FILE.

    \b
    Example:
      tiffin audit export audit.jsonl --since 90d
    """
    from cli.store import opened
    from stores import audit as entries

    with opened(data) as store, store.reading() as transaction:
        lines = (entries.to_line(one) for one in entries.all_entries(transaction, since))
        if file is None:
            for line in lines:
                click.echo(line)
            return
        with file.open("w", encoding="utf-8", newline="\n") as out:
            count = sum(bool(out.write(line + "\n")) for line in lines)
    click.echo(f"{count} entries in {file}")


@audit.command()
@click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of tiffin audit export: each of its entries must still stand as it was.",
)
@json_option
@data_option
def verify(against: Path | None, as_json: bool, data: Path | None) -> None:
    """Verifies that no entry was changed or removed, at the end neither. Exit status 1 when one was.

    \b
    Example:
      tiffin audit verify --against audit.jsonl
    """
    from cli.store import opened
    from stores import audit as entries

    with opened(data) as store, store.reading() as transaction:
        count, broken = entries.first_broken(transaction)
        differs = _first_that_differs(transaction, against) if against else None
    if as_json:
        print_json({"verified": count, "first_broken": broken, "first_that_differs": differs})
    else:
        if broken is None:
            click.echo(f"{count} entries, unbroken")
        else:
            click.echo(f"entry {broken} was changed or removed, or one before it; {count} before it hold", err=True)
        if differs is not None:
            click.echo(f"entry {differs} of {against} stands in the audit no more, or otherwise", err=True)
    if broken is not None or differs is not None:
        sys.exit(1)


def _first_that_differs(transaction: Any, against: Path) -> int | None:
    """The id of the first entry of an export that the audit does not have as it was. Raises InputProblem."""
    from stores import audit as entries

    with against.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = entries.from_line(line)
            except (ValueError, TypeError, KeyError):
                raise InputProblem(f"{against}, line {number} is no entry of tiffin audit export") from None
            if not entries.holds(transaction, entry):
                return entry.id
    return None
