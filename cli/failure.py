"""tiffin failure …"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cli.errors import InputProblem
from cli.options import as_option, data_option, filter_options, json_option
from cli.output import print_json, print_table


@click.group()
def failure() -> None:
    """Look at failures, resolve and replay them.

    \b
    Example:
      tiffin failure list --class mapping
    """


def _filters(**given: Any) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in given.items() if value is not None}


@failure.command("list")
@filter_options("tenant", "provider", "connection", "feed", "class", "code", "delivery")
@click.option("--causes", is_flag=True, help="Group by class and code of each feed.")
@click.option("--resolved", is_flag=True, help="Resolved ones too.")
@click.option("--limit", default=50, show_default=True, help="How many at the most.")
@json_option
@data_option
def list_(causes: bool, resolved: bool, limit: int, as_json: bool, data: Path | None, **given: Any) -> None:
    """Lists open failures, the newest first.

    \b
    Example:
      tiffin failure list --causes
    """
    from dataclasses import asdict

    from cli.store import opened
    from stores import failures

    filters = _filters(**given) | {"resolved": resolved}
    with opened(data) as store, store.reading() as transaction:
        if causes:
            grouped = failures.causes(transaction, filters)
            if as_json:
                print_json([asdict(one) for one in grouped])
                return
            rows = [(c.provider, c.feed, c.cls, c.code, c.failures, c.deliveries, c.first, c.last) for c in grouped]
            print_table(
                ("provider", "feed", "class", "code", "failures", "deliveries", "first", "last"),
                rows,
                "No open failures.",
            )
            return
        found = failures.listed(transaction, filters, limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        (f.id, f.at, f.provider, f.feed, f"{f.cls}/{f.code}", f.data["path"], f.data["message"], f.delivery)
        for f in found
    ]
    print_table(("id", "at", "provider", "feed", "failure", "path", "message", "delivery"), rows, "No open failures.")


@failure.command()
@click.argument("id_", metavar="ID", type=int)
@json_option
@data_option
def show(id_: int, as_json: bool, data: Path | None) -> None:
    """Shows one failure whole.

    \b
    Example:
      tiffin failure show 17
    """
    from dataclasses import asdict

    from cli.store import opened
    from stores import failures

    with opened(data) as store, store.reading() as transaction:
        found = failures.get(transaction, id_)
    if found is None:
        raise InputProblem(f"There is no failure {id_}. See: tiffin failure list")
    if as_json:
        print_json(asdict(found))
        return
    told = found.data
    which = f"delivery {found.delivery}, attempt {found.attempt}"
    click.echo(f"{found.cls}/{found.code} of {which}, {found.at:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(told["message"])
    for name in ("next_step", "path", "place", "rule", "element", "facts"):
        if told[name] not in ("", None, {}):
            click.echo(f"  {name.replace('_', ' '):9} {told[name]}")
    if found.resolved_at:
        click.echo(f"  resolved  {found.resolved_at:%Y-%m-%d %H:%M:%S} UTC by {found.resolved_by}")


@failure.command()
@click.argument("ids", metavar="ID…", nargs=-1, type=int, required=True)
@click.option("--why", default="", help="Said in the audit.")
@data_option
def resolve(ids: tuple[int, ...], why: str, data: Path | None) -> None:
    """Marks failures as resolved.

    \b
    Example:
      tiffin failure resolve 17 18 --why "the provider will send it again"
    """
    from cli.store import now, opened, operator
    from stores import audit, failures

    with opened(data) as store, store.writing() as transaction:
        unknown = [id_ for id_ in ids if not failures.resolve(transaction, id_, operator(), now())]
        for id_ in set(ids) - set(unknown):
            audit.append(transaction, now(), operator(), "failure.resolve", str(id_), why)
    click.echo(f"{len(ids) - len(unknown)} resolved")
    if unknown:
        raise InputProblem(f"no open failures: {', '.join(map(str, unknown))}")


@failure.command()
@click.argument("ids", metavar="[ID]…", nargs=-1, type=int)
@filter_options("tenant", "provider", "connection", "feed", "class", "code")
@as_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@data_option
def replay(ids: tuple[int, ...], as_: str, yes: bool, as_json: bool, data: Path | None, **given: Any) -> None:
    """Replays the deliveries of failures: those named, or all open ones that the filters choose.

    What earlier attempts left open is resolved: the new one says what is still wrong.

    \b
    Example:
      tiffin failure replay --class mapping --provider acme
    """
    from cli.delivery import replay_all
    from cli.store import opened
    from stores import failures

    filters = _filters(**given)
    if not ids and not filters:
        raise click.UsageError("name failures, or choose them with --class, --code, --provider …")
    with opened(data) as store, store.reading() as transaction:
        if ids:
            found = [failures.get(transaction, id_) for id_ in ids]
            chosen = list(dict.fromkeys(f.delivery for f in found if f is not None))
        else:
            chosen = failures.deliveries_of(transaction, filters)
    sys.exit(replay_all(data, chosen, as_, yes, as_json))
