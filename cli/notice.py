"""tiffin notice …"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InputProblem
from cli.options import data_option, filter_options, json_option
from cli.output import print_json, print_table, shown

if TYPE_CHECKING:
    from stores.notices import Notice


@click.group()
def notice() -> None:
    """What an operator must see: codes and addresses that handshakes brought, and what is new in payloads.

    \b
    Example:
      tiffin notice list
    """


@notice.command("list")
@filter_options("provider", "connection")
@click.option("--kind", type=click.Choice(["handshake", "drift"]), help="Only those of handshakes, or of payloads.")
@json_option
@data_option
def list_(provider: str | None, connection: str | None, kind: str | None, as_json: bool, data: Path | None) -> None:
    """Lists them, the newest first.

    Those of handshakes come from whoever sent the handshake: look at provider and address. Those of drift say what
    payloads show beyond the golden cases; `tiffin provider add-case` makes a golden case of one.

    \b
    Example:
      tiffin notice list --provider acme
    """
    from cli.store import opened
    from stores import notices

    wanted = {"provider": provider, "connection": connection, "kind": kind}
    with opened(data) as store, store.reading() as transaction:
        found = notices.listed(transaction, store.box.unseal, wanted)
    if as_json:
        print_json([_told(one) for one in found])
        return
    print_table(
        ("id", "at", "provider", "connection", "of", "from", "name", "value"),
        [
            (one.id, one.at, one.provider, one.connection, one.handshake or one.kind, one.peer, name, value)
            for one in found
            for name, value in _rows(one)
        ],
        "No notices.",
    )


def _told(one: Notice) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(one)


def _rows(one: Notice) -> list[tuple[str, str]]:
    if one.kind == "drift":
        return [(one.shown.get("what", ""), one.shown.get("says", ""))]
    return list(one.shown.items())


@notice.command()
@click.argument("id_", metavar="ID", type=int)
@json_option
@data_option
def show(id_: int, as_json: bool, data: Path | None) -> None:
    """Shows one with everything that it has, such as the sample of a drift.

    \b
    Example:
      tiffin notice show 12 --json > notice.json
    """
    found = one_notice(id_, data)
    if as_json:
        print_json(found)
        return
    for name, value in {**found, **found["shown"]}.items():
        if name != "shown" and value != "":
            click.echo(f"{name:12} {shown(value)}")


def one_notice(id_: int, data: Path | None) -> dict[str, Any]:
    """A notice as --json prints it. Raises InputProblem where there is none."""
    from cli.store import opened
    from stores import notices

    with opened(data) as store, store.reading() as transaction:
        found = notices.listed(transaction, store.box.unseal, {"id": id_})
    if not found:
        raise InputProblem(f"There is no notice {id_}. See: tiffin notice list")
    return _told(found[0])


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
