"""tiffin provider promote, rollback, revisions: which revision serves."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option
from cli.output import print_json, print_table, shown
from cli.revisions import loaded, standing_in, tally_in, unchanged_in

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from flows.observing.counting import Tally
    from flows.providers import LoadedProvider
    from flows.revising import Standing

_ACCEPTABLE = ("idempotency_key", "canonical_id", "command_key", "failure_class", "unseen", "revision", "overrides")


@click.command()
@click.argument("name")
@click.option(
    "--accept", "accepted", multiple=True, type=click.Choice(_ACCEPTABLE), help="Promote in spite of this; repeatable."
)
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def promote(name: str, accepted: tuple[str, ...], why: str, as_json: bool, data: Path | None) -> None:
    """Has the shadow's revision serve, in all workers at the same moment, some seconds from now.

    It is refused where idempotency keys, canonical ids, command keys or failure classes changed, where the shadow
    has compared nothing, where it emits otherwise without a higher `revision`, and where a connection's overrides
    do not fit it, unless that is accepted by name. It holds over the folder's file as that is now: put the same
    text into the folder, or another, and the folder holds. `tiffin provider rollback` returns to the former.

    \b
    Example:
      tiffin provider promote acme
      tiffin provider promote acme --accept canonical_id --why 'items are told by SKU from now on'
    """
    from cli.store import now, opened, operator
    from flows.revising import switching_at
    from stores import audit, promotions, shadows

    with opened(data) as store:
        # All that takes long comes first: while a transaction writes, deliveries wait on SQLite.
        with store.reading() as transaction:
            standing = standing_in(store, transaction, name, now())
            found = shadows.of(transaction, name)
            if found is None:
                raise InputProblem(f"{name} has no shadow. Start one: tiffin provider shadow {name} --spec FILE")
            if standing.hash == found.hash:
                raise InputProblem("The shadow's revision serves already.")
            _settled(standing)
            new = loaded(transaction, found.hash)
            tally = tally_in(store, found) if found.live_hash == standing.hash else None
            _agreed(transaction, name, standing, new, tally, accepted)
        at, revision = now(), new.interpreter.provider.revision
        begins_at = switching_at(at, store.settings.reload)
        facts = {
            "hash": found.hash, "former": standing.hash, "revision": revision, "accepted": sorted(set(accepted)),
            "compared": tally.report.deliveries if tally else 0,
        }  # fmt: skip
        with store.writing() as transaction:
            audit.append(transaction, at, operator(), "provider.promote", name, why, facts)
            unchanged_in(transaction, name, standing)
            promotions.add(
                transaction, name, found.hash, revision, standing.file_hash, standing.hash, at, operator(), begins_at
            )
            shadows.stop(transaction, found.id, at)
    told = {"provider": name, "hash": found.hash, "former": standing.hash, "revision": revision}
    _tell_switch(told, begins_at, store.settings.reload, as_json)
    if not as_json:
        click.echo(f"to keep it, put it into {store.settings.providers}/{name}.yaml")


def _settled(standing: Standing) -> None:
    if standing.coming is not None:
        moment = standing.coming.ends_at or standing.coming.begins_at
        raise InputProblem(f"Another revision begins to serve at {shown(moment)} (UTC). Wait until then.")


def _agreed(
    transaction: Connection, name: str, standing: Standing, new: LoadedProvider, tally: Tally | None,
    accepted: tuple[str, ...],
) -> None:  # fmt: skip
    """Raises InputProblem with each reason against it that was not accepted."""
    from flows.revising import objections
    from stores import connections

    rows = (row for row in connections.rows(transaction) if row.provider == name and row.disabled_at is None)
    overrides = [(row.id, row.overrides) for row in rows if row.overrides]
    found = objections(tally, loaded(transaction, standing.hash), new, overrides)
    if left := [one for one in found if one.kind not in accepted]:
        reasons = "\n".join(f"  {one.says}  (--accept {one.kind})" for one in left)
        raise InputProblem(f"{name} is not promoted:\n{reasons}")


def _tell_switch(told: dict[str, Any], at: datetime, reload: float, as_json: bool) -> None:
    if as_json:
        print_json({**told, "at": at.isoformat()})
        return
    moment = f"from {shown(at)} (UTC) on" if reload else "from their next start on (TIFFIN_RELOAD is 0)"
    click.echo(f"revision {told['revision']} of {told['provider']} serves in all workers {moment}")


@click.command()
@click.argument("name")
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def rollback(name: str, why: str, as_json: bool, data: Path | None) -> None:
    """Returns to what served before the last promotion, in all workers at the same moment.

    \b
    Example:
      tiffin provider rollback acme --why 'prices of combos are wrong'
    """
    from cli.store import now, opened, operator
    from flows.revising import Standing, switching_at
    from stores import audit, promotions

    with opened(data) as store:
        with store.reading() as transaction:
            standing = standing_in(store, transaction, name, now())
            open_ = [row for row in standing.rows if row.ends_at is None]
            if not open_:
                raise InputProblem(f"{name} is served by the folder's file: nothing was promoted.")
            last = open_[-1]
            after = Standing(standing.file_hash, tuple(row for row in standing.rows if row is not last), standing.at)
            revision = loaded(transaction, after.hash).interpreter.provider.revision
        at = now()
        # What has not begun anywhere ends before it does.
        ends_at = at if last.begins_at > at else switching_at(at, store.settings.reload)
        facts = {"hash": last.hash, "to": after.hash, "revision": revision}
        with store.writing() as transaction:
            audit.append(transaction, at, operator(), "provider.rollback", name, why, facts)
            unchanged_in(transaction, name, standing)
            promotions.end(transaction, last.id, ends_at)
    told = {"provider": name, "hash": after.hash, "former": last.hash, "revision": revision}
    _tell_switch(told, ends_at, store.settings.reload, as_json)


@click.command()
@click.argument("name")
@click.option("--text", is_flag=True, help="Print the text of the revision that serves.")
@json_option
@data_option
def revisions(name: str, text: bool, as_json: bool, data: Path | None) -> None:
    """Lists what was promoted, the newest first, and says what serves.

    \b
    Example:
      tiffin provider revisions acme
      tiffin provider revisions acme --text > providers/acme.yaml
    """
    from cli.store import now, opened
    from stores import promotions, specs

    with opened(data) as store, store.reading() as transaction:
        standing = standing_in(store, transaction, name, now())
        found = promotions.of(transaction, name)
        served = specs.text(transaction, standing.hash) if text else None
    if text:
        click.echo(served or "", nl=False)
        return
    rows = [
        {"id": one.id, "revision": one.revision, "hash": one.hash, "former": one.former, "who": one.who,
         "begins_at": one.begins_at, "ends_at": one.ends_at, "file_took_over_at": one.settled_at,
         "serves": standing.live is not None and standing.live.id == one.id}
        for one in found
    ]  # fmt: skip
    if as_json:
        print_json({"provider": name, "file_hash": standing.file_hash, "hash": standing.hash, "promotions": rows})
        return
    whose = f"promotion {standing.live.id}" if standing.live else "the folder's file"
    click.echo(f"{name} is served by {whose}, {standing.hash[:12]}")
    columns = ("id", "revision", "begins_at", "ends_at", "file_took_over_at", "who", "serves")
    print_table(columns, [[row[column] for column in columns] for row in rows], "Nothing was promoted.")
