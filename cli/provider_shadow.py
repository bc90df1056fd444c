"""tiffin provider shadow: a new revision beside the live one."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option
from cli.output import print_json, print_table, shown
from cli.revisions import standing_in, tally_in

if TYPE_CHECKING:
    from flows.observing.counting import Tally
    from stores.shadows import Shadow

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_EXAMPLES = 10


@click.command()
@click.argument("name", required=False)
@click.option("--spec", type=_FILE, help="Start: the new provider file.")
@click.option(
    "--rate", type=click.IntRange(1, 1000), default=20, show_default=True, help="Deliveries a second, at most."
)
@click.option("--stop", is_flag=True, help="Stop it. What it found stays.")
@json_option
@data_option
def shadow(name: str | None, spec: Path | None, rate: int, stop: bool, as_json: bool, data: Path | None) -> None:
    """Runs a new revision beside the live one on what is received, and says what it does otherwise.

    It writes nothing: no keys, mappings, commands or views. The running server reads deliveries back from the
    database after they were answered, at most so many a second, and compares by meaning. Examples are few, and
    fields under `sensitive` are masked. With a NAME alone it tells how it goes; without one it lists all.

    \b
    Example:
      tiffin provider shadow acme --spec acme.new.yaml
      tiffin provider shadow acme
      tiffin provider shadow acme --stop
    """
    if spec is not None and stop:
        raise click.UsageError("--spec starts, --stop stops: give one of them")
    if name is None:
        if spec is not None or stop:
            raise click.UsageError("give the NAME of a provider")
        _list(as_json, data)
    elif spec is not None:
        _start(name, spec, rate, as_json, data)
    elif stop:
        _stop(name, data)
    else:
        _tell(name, as_json, data)


def _list(as_json: bool, data: Path | None) -> None:
    from cli.store import opened
    from stores import shadows

    with opened(data) as store, store.reading() as transaction:
        found = shadows.every(transaction)
    told = [
        {"provider": one.provider, "hash": one.hash, "state": _state(one), "started_at": one.started_at,
         "deliveries": one.counts.get("deliveries", 0), "differing": one.counts.get("differing", 0)}
        for one in found
    ]  # fmt: skip
    if as_json:
        print_json(told)
        return
    columns = ("provider", "state", "started_at", "deliveries", "differing")
    print_table(columns, [[one[column] for column in columns] for one in told], "No shadows.")


def _state(one: Shadow) -> str:
    return "stopped" if one.stopped_at is not None else "running"


def _start(name: str, spec: Path, rate: int, as_json: bool, data: Path | None) -> None:
    import schemas
    from cli.store import now, opened, operator
    from flows.observing.observer import position_at
    from flows.providers import load_candidate
    from stores import audit, shadows, specs

    new = load_candidate(spec, schemas.canon())
    if (other := new.interpreter.provider.provider) != name:
        raise InputProblem(f"{spec} is the file of {other}, not of {name}.")
    with opened(data) as store:
        with store.reading() as transaction:
            standing = standing_in(store, transaction, name, now())
        if standing.hash == new.spec_hash:
            raise InputProblem(f"{spec} is what serves already: there is nothing to compare.")
        at, revision = now(), new.interpreter.provider.revision
        made = shadows.Shadow(
            secrets.token_hex(8), name, new.spec_hash, standing.hash, at, operator(), None, rate, position_at(at), {},
            b"", "",
        )  # fmt: skip
        facts = {"hash": new.spec_hash, "revision": revision, "rate": rate}
        with store.writing() as transaction:
            audit.append(transaction, at, operator(), "provider.shadow", name, data=facts)
            before = shadows.of(transaction, name)
            if before is not None and before.stopped_at is None:
                raise InputProblem(f"A shadow of {name} runs. Stop it first: tiffin provider shadow {name} --stop")
            specs.save(transaction, new.spec_hash, name, revision, new.text, at)
            shadows.start(transaction, made)
    if as_json:
        print_json({"provider": name, "revision": revision, "hash": new.spec_hash, "rate": rate})
        return
    click.echo(f"revision {revision} of {name} runs beside the live one; how it goes: tiffin provider shadow {name}")


def _stop(name: str, data: Path | None) -> None:
    from cli.store import now, opened, operator
    from stores import audit, shadows

    with opened(data) as store, store.writing() as transaction:
        found = shadows.of(transaction, name)
        if found is None or not shadows.stop(transaction, found.id, now()):
            raise InputProblem(f"No shadow of {name} runs.")
        audit.append(transaction, now(), operator(), "provider.shadow_stop", name, data={"hash": found.hash})
    click.echo(f"stopped; what it found: tiffin provider shadow {name}")


def _tell(name: str, as_json: bool, data: Path | None) -> None:
    from cli.store import opened
    from stores import shadows

    with opened(data) as store:
        with store.reading() as transaction:
            found = shadows.of(transaction, name)
        if found is None:
            raise InputProblem(f"{name} has no shadow. Start one: tiffin provider shadow {name} --spec FILE")
        tally = tally_in(store, found)
    if as_json:
        facts = {key: getattr(found, key) for key in ("provider", "hash", "live_hash", "started_at", "who", "rate")}
        print_json({**facts, "state": _state(found), "problem": found.problem, **tally.to_json()})
        return
    _print(found, tally)


def _print(found: Shadow, tally: Tally) -> None:
    from cli.provider_pins import described

    report = tally.report
    click.echo(f"{_state(found)} since {shown(found.stopped_at or found.started_at)}, revision {found.hash[:12]}")
    click.echo(
        f"{report.deliveries} deliveries, {report.commands} commands, {report.differing} differ; "
        f"{tally.left_out} left out to keep within {found.rate} a second"
    )
    if found.problem:
        click.echo(click.style(f"it does not go on: {found.problem}", fg="red"))
    for reason, count in report.lost.items():
        click.echo(f"{count} could not be run: {reason}")
    for sentence in report.says():
        click.echo(sentence)
    examples = [one for kept in report.examples.values() for one in kept]
    for one in examples[:_EXAMPLES]:
        click.echo(f"\n{one.delivery}  {described(one.difference)}")
        click.echo("\n".join(f"  {line}" for line in one.payload[:400].splitlines()))
    if tally.alarms:
        kinds = ", ".join(f"--accept {kind}" for kind in tally.alarms)
        click.echo(click.style(f"\nalarms: it is promoted only with {kinds}", fg="red"))
