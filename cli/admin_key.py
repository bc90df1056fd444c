"""tiffin admin-key …"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import data_option, duration, json_option
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from stores.admin_keys import AdminKeyRow


@click.group("admin-key")
def admin_key() -> None:
    """Keys of people and programs that use the admin API and the support desk.

    \b
    Example:
      tiffin admin-key list
    """


@admin_key.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "support", "admin"]), required=True, help="What it may do.")
@click.option("--expires", help="For how long it holds: 12h, 90d. [default: until it is revoked]")
@json_option
@data_option
def create(name: str, role: str, expires: str | None, as_json: bool, data: Path | None) -> None:
    """Makes a key and prints its token, once: only its hash is kept.

    A viewer looks; support also mends and replays; an admin also changes connections, secrets and keys.

    \b
    Example:
      tiffin admin-key create ravi --role support --expires 90d
    """
    from cli.store import now, opened, operator
    from flows.admin_keys import NAME, RESERVED
    from flows.admin_keys import create as make

    if not NAME.match(name) or name in RESERVED:
        raise click.UsageError("NAME may hold letters, digits and . _ @ + -, at most 64 of them")
    until = now() + timedelta(seconds=duration(expires, "--expires")) if expires else None
    with opened(data) as store, store.writing() as transaction:
        token = make(transaction, name, role, at=now(), by=operator(), expires_at=until)  # type: ignore[arg-type]
    if as_json:
        print_json({"name": name, "role": role, "expires_at": until, "token": token})
        return
    click.echo(token)
    click.echo("Keep it now: it is not shown again. Send it as Authorization: Bearer …", err=True)


@admin_key.command("list")
@json_option
@data_option
def list_(as_json: bool, data: Path | None) -> None:
    """Lists keys, also those that hold no more; tokens are not kept and cannot be shown.

    \b
    Example:
      tiffin admin-key list --json
    """
    from cli.store import now, opened
    from stores import admin_keys

    with opened(data) as store, store.reading() as transaction:
        found = [(row, _state(row, now())) for row in admin_keys.rows(transaction)]
    if as_json:
        shown = ("id", "name", "role", "created_at", "created_by", "expires_at", "revoked_at", "last_used_at")
        print_json([{**{name: getattr(row, name) for name in shown}, "state": state} for row, state in found])
        return
    print_table(
        ("id", "name", "role", "state", "created", "by", "expires", "last used"),
        [(r.id, r.name, r.role, s, r.created_at, r.created_by, r.expires_at, r.last_used_at) for r, s in found],
        "No keys. Make one: tiffin admin-key create NAME --role viewer",
    )


def _state(row: AdminKeyRow, at: datetime) -> str:
    if row.usable(at):
        return "valid"
    return "revoked" if row.revoked_at is not None else "expired"


@admin_key.command()
@click.argument("key", metavar="ID|NAME")
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def revoke(key: str, why: str, as_json: bool, data: Path | None) -> None:
    """Ends a key: from the next request on it opens nothing.

    \b
    Example:
      tiffin admin-key revoke ravi --why "left the team"
    """
    from cli.store import now, opened, operator
    from flows.admin_keys import revoke as end

    with opened(data) as store, store.writing() as transaction:
        name = end(transaction, key, at=now(), by=operator(), why=why)
    if as_json:
        print_json({"name": name, "revoked": True})
    else:
        click.echo(f"{name} is revoked")
