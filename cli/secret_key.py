"""tiffin secret-key …"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from cli.options import data_option, json_option
from cli.output import print_json


@click.group("secret-key")
def secret_key() -> None:
    """The key that seals secrets at rest.

    \b
    Example:
      tiffin secret-key rotate --dry-run
    """


@secret_key.command()
def new() -> None:
    """Prints a new key, as TIFFIN_SECRET_KEY takes it. Nothing is changed.

    \b
    Example:
      tiffin secret-key new
    """
    from stores.secrets import new_key

    click.echo(new_key())


@secret_key.command()
@click.option("--dry-run", is_flag=True, help="Only say what there is to seal anew.")
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def rotate(dry_run: bool, why: str, as_json: bool, data: Path | None) -> None:
    """Seals anew whatever an older key has sealed. It may be stopped and run again: what is left is done then.

    Where TIFFIN_SECRET_KEY is set: set it to the new key and TIFFIN_SECRET_KEY_OLD to the old one in every process,
    start them again, then run this; take the old key away once this says so. On the embedded set-up the key is a
    file: with the server stopped, this replaces it too.

    \b
    Example:
      tiffin secret-key rotate --why "yearly"
    """
    from cli.store import now, opened, operator
    from flows.secret_key import SecretKeyRotation
    from stores import audit

    with opened(data) as store, ExitStack() as stack:
        if not dry_run:
            _replace_file(store, stack)
        rotation = SecretKeyRotation(store.read, store.write, store.box)
        left = rotation.left()
        if dry_run:
            _say(left, rotation.elsewhere(), as_json, "to seal anew")
            return
        done: Counter[str] = Counter()
        try:
            with click.progressbar(
                length=sum(left.values()), label="sealing anew", file=sys.stderr, hidden=not sys.stderr.isatty()
            ) as bar:
                for batch in rotation.run():
                    done[batch.place] += batch.values
                    bar.update(batch.values)
        finally:
            store.write(
                lambda t: audit.append(t, now(), operator(), "secret_key.rotate", "secret key", why, dict(done))
            )
        elsewhere = rotation.elsewhere()
        if not elsewhere and not sum(rotation.left().values()):
            _forget_older(store)
        _say({name: done[name] for name in left}, elsewhere, as_json, "sealed anew")


def _file(store: Any) -> Path | None:
    """The embedded set-up's key file; None where a setting has the key."""
    from flows.journal import key_file

    settings = store.settings
    return key_file(settings) if settings.embedded and not settings.secret_key.get_secret_value() else None


def _replace_file(store: Any, stack: ExitStack) -> None:
    """Replaces the key file, unless an earlier rotation has not ended. Raises FolderInUse: a server has the old key."""
    from flows.folder import FolderLock
    from flows.secret_key import SecretKeyRotation
    from stores.secrets import replace_key

    file = _file(store)
    if file is None:
        return
    stack.callback(FolderLock(store.settings.data).release)
    box = store.box
    if not sum(SecretKeyRotation(store.read, store.write, box).left().values()):
        replace_key(file)


def _forget_older(store: Any) -> None:
    from stores.secrets import older_key_file

    if (file := _file(store)) is not None:
        older_key_file(file).unlink(missing_ok=True)


def _say(counts: dict[str, int], elsewhere: int, as_json: bool, what: str) -> None:
    if as_json:
        print_json({"values": counts, "in_objects_or_archive": elsewhere, "older_key_needed": elsewhere > 0})
        return
    for name, count in counts.items():
        click.echo(f"{count:>8}  {name} {what}")
    if elsewhere:
        click.echo(
            f"Keep the older key: {elsewhere} deliveries in objects or the archive may have been sealed with it."
        )
    elif what == "sealed anew":
        click.echo("The older key is needed no more.")
