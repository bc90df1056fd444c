"""tiffin desk …"""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import data_option, json_option
from cli.output import print_json


@click.group()
def desk() -> None:
    """The support desk: pages under /desk of a running server.

    \b
    Example:
      tiffin desk link
    """


@desk.command()
@click.option("--who", default=None, help="Whose link it is, for the audit. [default: who runs this]")
@click.option(
    "--role",
    type=click.Choice(["viewer", "support", "admin"]),
    default="admin",
    show_default=True,
    help="What the link lets do: look; mend and replay; change secrets too.",
)
@json_option
@data_option
def link(who: str | None, role: str, as_json: bool, data: Path | None) -> None:
    """Prints a link that signs in to the desk once, within a quarter of an hour.

    Whoever may run this reads the database anyway: no key is asked for.

    \b
    Example:
      tiffin desk link --role viewer --who ann
    """
    from cli.store import now, opened, operator
    from flows.desk_sessions import link_path, make_link
    from stores import audit

    with opened(data) as store, store.writing() as transaction:
        token = make_link(transaction, who or operator(), role, now())
        audit.append(transaction, now(), operator(), "desk.link", who or operator(), data={"role": role})
        url = store.settings.public_url + link_path(token)
    if as_json:
        print_json({"url": url, "role": role, "who": who or operator()})
    else:
        click.echo(url)
