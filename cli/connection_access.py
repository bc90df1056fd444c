"""tiffin connection enable, allow, share: whom a connection lets in, and how much of it at once."""

from __future__ import annotations

from pathlib import Path

import click

from cli.connection import network
from cli.options import data_option, json_option, why_option
from cli.output import print_json


@click.command()
@click.argument("id_", metavar="ID")
@why_option
@json_option
@data_option
def enable(id_: str, why: str, as_json: bool, data: Path | None) -> None:
    """Enables a connection that was disabled: its requests are taken again.

    \b
    Example:
      tiffin connection enable con-1a2b3c4d
    """
    from cli.store import now, opened, operator
    from stores import audit, connections

    with opened(data) as store, store.writing() as transaction:
        connections.enable(transaction, id_, now())
        audit.append(transaction, now(), operator(), "connection.enable", id_, why)
    if as_json:
        print_json({"id": id_, "enabled": True})
    else:
        click.echo(f"{id_} is enabled")


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("blocks", metavar="[CIDR]...", nargs=-1)
@click.option("--any", "anywhere", is_flag=True, help="Any address may call from now on.")
@why_option
@json_option
@data_option
def allow(id_: str, blocks: tuple[str, ...], anywhere: bool, why: str, as_json: bool, data: Path | None) -> None:
    """Sets the addresses that may call a connection; the list replaces the one before.

    \b
    Example:
      tiffin connection allow con-1a2b3c4d 192.0.2.0/24 2001:db8::/32
    """
    from cli.store import now, opened, operator
    from stores import audit, connections

    if bool(blocks) == anywhere:
        raise click.UsageError("give CIDR blocks, or --any")
    wanted = [network(block) for block in blocks]
    with opened(data) as store, store.writing() as transaction:
        before = connections.set_allow(transaction, id_, wanted, now())
        audit.append(transaction, now(), operator(), "connection.allow", id_, why, {"before": before, "after": wanted})
    if as_json:
        print_json({"id": id_, "allow": wanted})
    else:
        click.echo(f"{id_}: {', '.join(wanted) or 'any address'} may call")


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("percent", type=click.IntRange(1, 100), required=False)
@click.option("--default", "reset", is_flag=True, help="TIFFIN_CONNECTION_SHARE holds again.")
@why_option
@json_option
@data_option
def share(
    id_: str, percent: int | None, reset: bool, why: str, as_json: bool, data: Path | None
) -> None:  # fmt: skip
    """Sets how much of the room for waiting requests a connection may fill, in percent. Beyond it they get busy.

    \b
    Example:
      tiffin connection share con-1a2b3c4d 25
    """
    from cli.store import now, opened, operator
    from flows.shares import SETTING
    from stores import audit, connections

    if (percent is None) != reset:
        raise click.UsageError("give a PERCENT, or --default")
    with opened(data) as store, store.writing() as transaction:
        connections.set_setting(transaction, id_, SETTING, percent, now())
        audit.append(transaction, now(), operator(), "connection.share", id_, why, {"percent": percent})
    if as_json:
        print_json({"id": id_, "percent": percent})
    else:
        click.echo(f"{id_}: {'the default' if percent is None else f'{percent} % of the room'}")
