"""`tiffin import`: a file becomes commands row by row, with its progress in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option, pairs
from cli.output import print_json

if TYPE_CHECKING:
    from engine.messages import Connection
    from flows.providers import LoadedProvider
    from flows.service import Service
    from stores.imports import Job

_BLOCK = 1 << 20
_POLL = 0.25


@click.command("import")
@click.argument("arguments", nargs=-1, required=True, metavar="[PROVIDER] FILE")
@click.option("--connection", "connection_id", help="The connection it is for. [default: the only one]")
@click.option("--feed", help="The feed that reads it. [default: import, or the only one that can]")
@click.option("--format", "format_", type=click.Choice(("json", "ndjson", "csv", "tsv", "xlsx", "xml", "parquet")),
              help="[default: by the file's name]")  # fmt: skip
@click.option("--header", "headers", multiple=True, metavar="'K: V'", help="A header as if it had been sent.")
@click.option("--query", "queries", multiple=True, metavar="k=v", help="A query parameter as if it had been sent.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write failed rows there, as CSV.")
@json_option
@data_option
def import_(
    arguments: tuple[str, ...],
    connection_id: str | None,
    feed: str | None,
    format_: str | None,
    headers: tuple[str, ...],
    queries: tuple[str, ...],
    report: Path | None,
    as_json: bool,
    data: Path | None,
) -> None:
    """Imports a file of any size: JSON, NDJSON, CSV, TSV, XLSX, XML or Parquet, also with .gz behind the name.

    Every row goes through the provider's feed and becomes its commands. It may be killed at any time: `tiffin job
    resume` goes on where it ended, and a serving Tiffin does so by itself. Exit status 1 when a row failed.

    \b
    Example:
      tiffin import acme products.csv --header 'X-Feed-Id: 2026-01' --report failed.csv
    """
    if len(arguments) > 2:
        raise click.UsageError("name a provider and a file, or a file alone")
    file = Path(arguments[-1])
    if not file.is_file():
        raise InputProblem(f"{file} is no file")
    provider = arguments[0] if len(arguments) == 2 else None
    given = (pairs(headers, ":", "a header 'K: V'"), pairs(queries, "=", "a parameter k=v"))
    status = asyncio.run(_import(data, provider, connection_id, feed, format_, given, file, report, as_json))
    sys.exit(status)


async def _import(
    data: Path | None,
    provider: str | None,
    connection_id: str | None,
    feed: str | None,
    format_: str | None,
    given: tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]],
    file: Path,
    report: Path | None,
    as_json: bool,
) -> int:
    async with started(data) as service:
        connection, loaded = await _chosen(service, provider, connection_id)
        name = _feed(loaded, feed)
        job = await _admitted(service, loaded, connection, name, format_ or "", given, file)
        return await ran(service, job, report, as_json)


@contextlib.asynccontextmanager
async def started(data: Path | None) -> Any:
    """A service that runs jobs, beside a serving one or without."""
    from cli.store import settings_of
    from flows.logging import configure_logging
    from flows.service import Service

    configure_logging("error")
    service = Service(settings_of(data), serving=False)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def _chosen(
    service: Service, provider: str | None, connection_id: str | None
) -> tuple[Connection, LoadedProvider]:
    known = [c for c in (await service.directory.current()).by_id.values() if c.provider in service.providers]
    fitting = [c for c in known if provider in (None, c.provider) and connection_id in (None, c.id)]
    if len(fitting) != 1:
        what = "no connection fits" if not fitting else f"{len(fitting)} connections fit"
        raise InputProblem(f"{what}; name one with --connection. See: tiffin connection list")
    return fitting[0], service.providers[fitting[0].provider]


def _feed(loaded: LoadedProvider, feed: str | None) -> str:
    from flows.importing.sources import formats_of, obstacle

    interpreter = loaded.interpreter
    if feed is not None:
        if feed not in interpreter.feeds:
            raise InputProblem(f"{interpreter.provider.provider} has no feed {feed}")
        return feed
    able = [n for n in interpreter.feeds if obstacle(interpreter, n) is None and formats_of(interpreter, n)]
    if "import" in able or len(able) == 1:
        return "import" if "import" in able else able[0]
    raise InputProblem(f"name a feed with --feed: {', '.join(able) or 'none of them can be imported row by row'}")


async def _admitted(
    service: Service,
    loaded: LoadedProvider,
    connection: Connection,
    feed: str,
    format_: str,
    given: tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]],
    file: Path,
) -> Job:
    from urllib.parse import urlencode

    from engine.messages import Request
    from flows.importing.intake import QueueLong, Unfit, Wanted, admit

    headers, queries = given
    settings = service.settings
    path = f"/v1/integrations/{loaded.interpreter.provider.family}/{connection.provider}/c/{connection.id}/{feed}"
    query = f"?{urlencode(queries)}" if queries else ""
    request = Request(
        "POST",
        f"{settings.public_url}{path}{query}",
        path,
        queries,
        tuple((k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers),
        b"",
        "",
        datetime.now(UTC),
    )
    with service.importer.spool.incoming() as incoming:
        await asyncio.to_thread(_copy, file, incoming.write, settings.import_bytes)
        lease = timedelta(seconds=settings.lease)
        try:
            return await admit(
                service.journal,
                incoming,
                Wanted(loaded, feed, connection, request, format_, file.name, settings.import_chunk),
                most=settings.import_jobs,
                keep=incoming.keep,
                owned=lambda job: job._replace(
                    owner=service.importer.owner, lease_until=datetime.now(UTC) + lease, state="running"
                ),
            )
        except Unfit as unfit:
            raise InputProblem(f"{unfit.failure.message} {unfit.failure.next_step}") from None
        except QueueLong:
            raise InputProblem("as many jobs wait as TIFFIN_IMPORT_JOBS allows. See: tiffin job list") from None


def _copy(file: Path, write: Callable[[bytes], None], most: int) -> None:
    if (size := file.stat().st_size) > most:
        raise InputProblem(f"{file} has {size} bytes; TIFFIN_IMPORT_BYTES allows {most}")
    with file.open("rb") as source:
        while block := source.read(_BLOCK):
            write(block)


async def ran(service: Service, job: Job, report: Path | None, as_json: bool) -> int:
    """Runs a job of this process to its end, showing how it does; the exit status."""
    from flows.importing.progress import is_open, progress
    from stores import imports

    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, service.importer.stop)
    running = loop.create_task(service.importer.run_one(job.id))
    with shown_progress(job) as show:
        while not running.done():
            await asyncio.wait((running,), timeout=_POLL)
            found = await service.journal.read(lambda t: imports.get(t, job.id))
            if found is not None:
                show(found)
    ended = running.result()
    if ended is None:
        raise InputProblem(f"the job {job.id} has ended, or another process runs it. See: tiffin job show {job.id}")
    if report is not None:
        written = await service.journal.read(lambda t: write_report(t, ended, report))
        if not as_json:
            click.echo(f"{written} lines in {report}")
    told = progress(ended)
    if as_json:
        print_json(told)
    else:
        click.echo(summary(told))
        if is_open(ended):
            click.echo(f"stopped; go on with: tiffin job resume {ended.id}")
    return 0 if ended.state == "done" else 1


@contextlib.contextmanager
def shown_progress(job: Job) -> Any:
    """A line in the terminal that is kept up to date; nothing where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from flows.importing.progress import progress

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(job.name or job.id, total=job.bytes or 1, told="")

        def show(found: Job) -> None:
            told = progress(found)
            left = told["seconds_left"]
            text = f"{told['rows']:,} rows, {told['failed']:,} failed, {told['rate']:,.0f} rows/s"
            bar.update(task, completed=found.at_byte, told=text + (f", {left:,.0f} s left" if left is not None else ""))

        yield show


def summary(told: dict[str, Any]) -> str:
    """One line, and the problem where there is one."""
    line = (
        f"{told['id']}  {told['state']}: {told['rows']:,} rows, {told['commands']:,} commands, "
        f"{told['failed']:,} failed, {told['rate']:,.0f} rows/s"
    )
    problem = told["problem"]
    return f"{line}\n{problem['message']} {problem['next_step']}" if problem else line


def write_report(transaction: Any, job: Job, path: Path) -> int:
    """Writes the failed rows as CSV; how many lines that are, without the header."""
    lines = 0
    with path.open("w", newline="", encoding="utf-8") as out:
        for text in report_pieces(transaction, job):
            out.write(text)
            lines += 1
    return lines - 1


def report_pieces(transaction: Any, job: Job) -> Any:
    """The lines of the report, read as they are written."""
    from flows.importing.failed_rows import report
    from stores import imports

    def failures() -> Any:
        after = 0
        while after < job.chunks:
            found, after = imports.failures_of(transaction, job, after)
            yield from found

    return report(failures())
