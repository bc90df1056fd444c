"""`tiffin job`: import jobs, looked at, ended, gone on with."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import InputProblem
from cli.imports import ran, report_pieces, started, summary, write_report
from cli.options import data_option, json_option
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stores.imports import Job


@click.group()
def job() -> None:
    """Import jobs: look at them, cancel them, go on with them.

    \b
    Example:
      tiffin job list
    """


def _found(transaction: Connection, id_: str) -> Job:
    from stores import imports

    found = imports.get(transaction, id_)
    if found is None:
        raise InputProblem(f"there is no job {id_}. See: tiffin job list")
    return found


@job.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The most of them.")
@json_option
@data_option
def list_(limit: int, as_json: bool, data: Path | None) -> None:
    """Lists import jobs, the newest first.

    \b
    Example:
      tiffin job list --limit 10
    """
    from cli.store import opened
    from flows.importing.progress import progress
    from stores import imports

    with opened(data) as store, store.reading() as transaction:
        found = [progress(one) for one in imports.listed(transaction, limit)]
    if as_json:
        print_json(found)
        return
    columns = ("id", "state", "provider", "name", "rows", "failed", "commands")
    print_table(columns, [[one[c] for c in columns] for one in found], "No import jobs.")


@job.command()
@click.argument("id_", metavar="ID")
@json_option
@data_option
def show(id_: str, as_json: bool, data: Path | None) -> None:
    """Says how a job does: rows, failures, rate, time left, and why it ended.

    \b
    Example:
      tiffin job show 019a0f3c6a…
    """
    from cli.store import opened
    from flows.importing.progress import progress

    with opened(data) as store, store.reading() as transaction:
        told = progress(_found(transaction, id_))
    if as_json:
        print_json(told)
        return
    click.echo(summary(told))
    if told["seconds_left"] is not None:
        click.echo(f"{told['done']:.0%} read, {told['seconds_left']:,.0f} s left")


@job.command()
@click.argument("id_", metavar="ID")
@click.option("--to", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write it there.")
@data_option
def report(id_: str, path: Path | None, data: Path | None) -> None:
    """Prints a job's failed rows as CSV: row, column, reason, fix, class, code.

    Rows are numbered as their sender counts: lines of a text, rows of a sheet, elements of a list.

    \b
    Example:
      tiffin job report 019a0f3c6a… --to failed.csv
    """
    from cli.store import opened

    with opened(data) as store, store.reading() as transaction:
        found = _found(transaction, id_)
        if path is not None:
            click.echo(f"{write_report(transaction, found, path)} lines in {path}")
            return
        for text in report_pieces(transaction, found):
            click.echo(text, nl=False)


@job.command()
@click.argument("id_", metavar="ID")
@click.option("--why", default="", help="Said in the audit.")
@data_option
def cancel(id_: str, why: str, data: Path | None) -> None:
    """Ends a job at its next chunk. What is written stays; the same file sent again goes on from there.

    \b
    Example:
      tiffin job cancel 019a0f3c6a… --why "the wrong file"
    """
    from cli.store import now, opened, operator
    from stores import audit, imports

    with opened(data) as store, store.writing() as transaction:
        _found(transaction, id_)
        if not imports.ask_to_cancel(transaction, id_, now()):
            raise InputProblem(f"the job {id_} has ended. See: tiffin job show {id_}")
        audit.append(transaction, now(), operator(), "import.cancel", id_, why)
    click.echo("asked to end at its next chunk")


@job.command()
@click.argument("id_", metavar="ID")
@click.option("--report", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write failed rows there.")
@json_option
@data_option
def resume(id_: str, path: Path | None, as_json: bool, data: Path | None) -> None:
    """Goes on with a job whose process has ended. A serving Tiffin does so by itself.

    \b
    Example:
      tiffin job resume 019a0f3c6a…
    """
    sys.exit(asyncio.run(_resume(data, id_, path, as_json)))


async def _resume(data: Path | None, id_: str, path: Path | None, as_json: bool) -> int:
    async with started(data) as service:
        found = await service.journal.read(lambda transaction: _found(transaction, id_))
        await service.importer.free(found)
        return await ran(service, found, path, as_json)
