"""tiffin mapping suggestions …"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.options import data_option, filter_options, json_option
from cli.output import print_json, print_table

why_option = click.option("--why", default="", help="Why, for the audit.")


@click.group()
def suggestions() -> None:
    """Mappings that are suggested because two sources tell of the same thing.

    \b
    Example:
      tiffin mapping suggestions list
    """


@suggestions.command("list")
@filter_options("tenant", "provider")
@click.option(
    "--state", default="open", show_default=True, type=click.Choice(("open", "accepted", "rejected")),
    help="Only those in this state.",
)  # fmt: skip
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="How many at the most.")
@json_option
@data_option
def list_(tenant: str | None, provider: str | None, state: str, limit: int, as_json: bool, data: Path | None) -> None:
    """Lists suggestions, the likeliest first. The score is from 88 to 100; 100 is the same barcode.

    \b
    Example:
      tiffin mapping suggestions list --tenant demo
    """
    from cli.store import opened
    from stores import alike

    filters = {"tenant": tenant, "provider": provider, "state": state}
    with opened(data) as store, store.reading() as transaction:
        found = alike.listed(transaction, filters, limit)
    if as_json:
        print_json([one._asdict() for one in found])
        return
    print_table(
        ("id", "tenant", "provider", "kind", "external id", "store", "now", "suggested", "score", "because"),
        [
            (one.id, one.tenant, one.provider, one.kind, one.external_id, one.within, one.current_id,
             one.suggested_id, one.score, one.because)
            for one in found
        ],
        f"No {state} suggestions.",
    )  # fmt: skip


@suggestions.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=int)
@why_option
@json_option
@data_option
def accept(ids: tuple[int, ...], why: str, as_json: bool, data: Path | None) -> None:
    """Maps the external ids as suggested. What comes from now on is told of the suggested canonical id.

    \b
    Example:
      tiffin mapping suggestions accept 12 13
    """
    from flows import suggested_mappings

    _decide(suggested_mappings.accept, ids, why, as_json, data)


@suggestions.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=int)
@why_option
@json_option
@data_option
def reject(ids: tuple[int, ...], why: str, as_json: bool, data: Path | None) -> None:
    """Closes suggestions for good: the two are not suggested again.

    \b
    Example:
      tiffin mapping suggestions reject 14 --why "another recipe"
    """
    from flows import suggested_mappings

    _decide(suggested_mappings.reject, ids, why, as_json, data)


@suggestions.command()
@json_option
@data_option
def find(as_json: bool, data: Path | None) -> None:
    """Compares everything in the views now, also what came before suggestions were looked for.

    \b
    Example:
      tiffin mapping suggestions find
    """
    from cli.store import now, opened
    from flows.consume.alike import KINDS
    from flows.suggested_mappings import look
    from stores import views

    with opened(data) as store, store.reading() as transaction:
        entities = views.catalogue(transaction, KINDS)
        with click.progressbar(
            entities, label="comparing", show_pos=True, file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as shown:
            found = look(shown, store.read, store.write, now)
    if as_json:
        print_json(found._asdict())
    else:
        click.echo(f"{found.entities} compared, {found.suggestions} suggested anew")


def _decide(decision: Callable[..., Any], ids: tuple[int, ...], why: str, as_json: bool, data: Path | None) -> None:
    """Each on its own: one that cannot be decided keeps no other from it. Exit status 1 then."""
    from cli.store import now, opened, operator
    from flows.suggested_mappings import NotOpen

    done, refused = [], []
    with opened(data) as store:
        for id in ids:
            try:
                with store.writing() as transaction:
                    done.append(decision(transaction, id, who=operator(), why=why, at=now()))
            except NotOpen as error:
                refused.append(str(error))
    if as_json:
        print_json({"done": [one.id for one in done], "refused": refused})
    else:
        for one in done:
            sign = "→" if decision.__name__ == "accept" else "is not"
            click.echo(f"{one.id}: {one.provider} {one.kind} {one.external_id} {sign} {one.suggested_id}")
        for told in refused:
            click.echo(f"tiffin: {told}", err=True)
    if refused:
        sys.exit(1)
