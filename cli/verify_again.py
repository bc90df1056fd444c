"""tiffin connection verify-again."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from cli.options import data_option, json_option
from cli.output import print_json_line


@click.command("verify-again")
@click.argument("id_", metavar="ID")
@click.option("--dry-run", is_flag=True, help="Only say which would verify.")
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def verify_again(id_: str, dry_run: bool, why: str, as_json: bool, data: Path | None) -> None:
    """Verifies a connection's quarantined requests again with the secrets of now, and works on those that verify.

    Each is verified as of when it came; what does not verify stays in quarantine. Exit status 1 where one did not.

    \b
    Example:
      tiffin connection verify-again con-1a2b3c4d --dry-run
    """
    sys.exit(asyncio.run(_run(id_, dry_run, why, as_json, data)))


async def _run(id_: str, dry_run: bool, why: str, as_json: bool, data: Path | None) -> int:
    from cli.store import now, operator, settings_of
    from flows.service import Service
    from flows.verify_again import VerifyAgain
    from stores import audit
    from stores.connections import ConnectionUnknown
    from stores.writer import Work

    service = Service(settings_of(data), serving=False)
    await service.start()
    verdicts: Counter[str] = Counter()
    try:
        again = VerifyAgain(service.replay, service.journal, id_)
        ids = await again.ids()
        if ids is None:
            raise ConnectionUnknown(id_)
        hidden = not sys.stderr.isatty()
        try:
            with click.progressbar(length=len(ids), label="verifying again", file=sys.stderr, hidden=hidden) as bar:
                async for one in again.run(ids, dry_run=dry_run):
                    bar.update(1)
                    if one is not None:
                        verdicts[one.verdict or "not run"] += 1
                        _say(one, as_json)
        finally:
            if verdicts and not dry_run:
                told = dict(verdicts)
                work = Work(audit.append, now(), operator(), "connection.verify_again", id_, why, told)
                await service.journal.write(work)
    finally:
        await service.stop()
    if as_json:
        print_json_line({"connection": id_, "dry_run": dry_run, "verdicts": dict(verdicts)})
    else:
        click.echo(", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common()) or "Nothing is in quarantine.")
    return 1 if verdicts.keys() & {"unauthorized", "not run", "failed", "parked"} else 0


def _say(one: Any, as_json: bool) -> None:
    failures = [failure.to_json() for failure in one.failures]
    if as_json:
        line = {"delivery": one.delivery, "verdict": one.verdict, "commands": one.commands, "failures": failures}
        print_json_line(line)
    elif one.verdict not in ("accepted", "verifies"):
        said = one.failures[0].message if one.failures else ""
        click.echo(f"{one.delivery}  {one.verdict or 'not run'}  {said}")
