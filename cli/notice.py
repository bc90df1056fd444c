"""tiffin notice …"""

from __future__ import annotations

from pathlib import Path

import click

from cli.errors import InputProblem
from cli.options import data_option, filter_options, json_option
from cli.output import print_json, print_table


@click.group()
def notice() -> None:
    """Codes and addresses that handshakes brought, for an operator to type in elsewhere or to open.

    \b
    Example:
      tiffin notice list
    """


@notice.command("list")
@filter_options("provider", "connection")
@json_option
@data_option
def list_(provider: str | None, connection: str | None, as_json: bool, data: Path | None) -> None:
    """Lists them, the newest first. They come from whoever sent the handshake: look at provider and address.

    \b
    Example:
      tiffin notice list --provider acme
    """
    from dataclasses import asdict

    from cli.store import opened
    from stores import notices

    with opened(data) as store, store.reading() as transaction:
        found = notices.listed(transaction, store.box.unseal, {"provider": provider, "connection": connection})
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        ("id", "at", "provider", "connection", "handshake", "from", "name", "value"),
        [
            (one.id, one.at, one.provider, one.connection, one.handshake, one.peer, name, value)
            for one in found
            for name, value in one.shown.items()
        ],
        "No notices.",
    )


@notice.command()
@click.argument("ids", metavar="ID…", nargs=-1, type=int, required=True)
@data_option
def remove(ids: tuple[int, ...], data: Path | None) -> None:
    """Removes notices that are dealt with.

    \b
    Example:
      tiffin notice remove 3 4
    """
    from cli.store import now, opened, operator
    from stores import audit, notices

    with opened(data) as store, store.writing() as transaction:
        unknown = notices.remove(transaction, ids)
        for id_ in sorted(set(ids) - set(unknown)):
            audit.append(transaction, now(), operator(), "notice.remove", str(id_))
    click.echo(f"{len(ids) - len(unknown)} removed")
    if unknown:
        raise InputProblem(f"no notices: {', '.join(map(str, unknown))}")
