"""tiffin connection secret …"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from cli.connection import checked_secrets, loaded
from cli.errors import InputProblem
from cli.options import data_option, duration, json_option, why_option
from cli.output import print_json, print_table


@click.group()
def secret() -> None:
    """Secrets of a connection: several of one name may hold at once, each for its time.

    \b
    Example:
      tiffin connection secret list con-1a2b3c4d
    """


@secret.command()
@click.argument("id_", metavar="ID")
@click.option("--secret", "secrets", multiple=True, required=True, help="NAME=VALUE, NAME=@file or NAME=env:VARIABLE.")
@click.option("--expires", help="For how long it holds: 12h, 90d. [default: until it is expired]")
@why_option
@json_option
@data_option
def add(
    id_: str, secrets: tuple[str, ...], expires: str | None, why: str, as_json: bool, data: Path | None
) -> None:  # fmt: skip
    """Adds a secret beside those that hold: a request verifies with any of them. The others stay as they are.

    \b
    Example:
      tiffin connection secret add con-1a2b3c4d --secret key=@next-key --expires 90d
    """
    from cli.store import now, opened, operator
    from stores import audit, connections

    until = now() + timedelta(seconds=duration(expires, "--expires")) if expires else None
    with opened(data) as store:
        found = checked_secrets(loaded(store.settings, store.read(lambda t: _provider(t, id_))), secrets)
        with store.writing() as transaction:
            ids = {
                name: connections.add_secret(transaction, id_, name, value, store.box, now(), until)
                for name, value in found.items()
            }
            told = {"secrets": ids, "expires_at": until.isoformat() if until else None}
            audit.append(transaction, now(), operator(), "connection.secret.add", id_, why, told)
    if as_json:
        print_json([{"secret": number, "name": name, "valid_until": until} for name, number in ids.items()])
        return
    for name, number in ids.items():
        click.echo(
            f"{id_}: secret {number} ({name}) holds {f'until {until:%Y-%m-%d %H:%M:%S} UTC' if until else 'now'}"
        )


@secret.command("list")
@click.argument("id_", metavar="ID")
@json_option
@data_option
def list_(id_: str, as_json: bool, data: Path | None) -> None:
    """Lists a connection's secrets with their times, the newest first; values are never shown.

    \b
    Example:
      tiffin connection secret list con-1a2b3c4d
    """
    from cli.store import now, opened
    from stores import connections

    with opened(data) as store, store.reading() as transaction:
        found = connections.secrets_of(transaction, id_)
    at = now()
    if as_json:
        print_json([{**row._asdict(), "state": _state(row.valid_until, at)} for row in found])
        return
    print_table(
        ("secret", "name", "state", "from", "until"),
        [(row.id, row.name, _state(row.valid_until, at), row.valid_from, row.valid_until) for row in found],
        "No secrets.",
    )


@secret.command()
@click.argument("id_", metavar="ID")
@click.argument("number", type=int)
@click.option("--in", "in_", default="0s", show_default=True, help="When it ends from now: 0s, 30m, 24h, 7d.")
@click.option("--force", is_flag=True, help="Also where no other secret of its name would hold then.")
@why_option
@json_option
@data_option
def expire(
    id_: str, number: int, in_: str, force: bool, why: str, as_json: bool, data: Path | None
) -> None:  # fmt: skip
    """Ends one secret of a connection, now or in a while. NUMBER is from tiffin connection secret list.

    \b
    Example:
      tiffin connection secret expire con-1a2b3c4d 7 --in 24h --why "it was in a mail"
    """
    from cli.store import now, opened, operator
    from stores import audit, connections

    until = now() + timedelta(seconds=duration(in_, "--in"))
    with opened(data) as store, store.writing() as transaction:
        rows = connections.secrets_of(transaction, id_)
        chosen = next((row for row in rows if row.id == number), None)
        if chosen is None:
            raise InputProblem(f"{id_} has no secret {number}. See: tiffin connection secret list {id_}")
        left = [r for r in rows if r.name == chosen.name and r.id != number and _state(r.valid_until, until) == "valid"]
        if not left and not force:
            raise InputProblem(
                f"No other secret {chosen.name} would hold then, and every request would be refused. "
                f"Add one first (tiffin connection secret add {id_}), or say --force."
            )
        connections.expire_secret(transaction, id_, number, until, now())
        told = {"secret": number, "name": chosen.name, "until": until.isoformat()}
        audit.append(transaction, now(), operator(), "connection.secret.expire", id_, why, told)
    if as_json:
        print_json({"id": id_, **told})
    else:
        click.echo(f"{id_}: secret {number} ({chosen.name}) ends {until:%Y-%m-%d %H:%M:%S} UTC")


def _provider(transaction: Any, id_: str) -> str:
    from stores import connections

    row = next((row for row in connections.rows(transaction) if row.id == id_), None)
    if row is None:
        raise connections.ConnectionUnknown(id_)
    return row.provider


def _state(until: datetime | None, at: datetime) -> str:
    return "valid" if until is None or until > at else "expired"
