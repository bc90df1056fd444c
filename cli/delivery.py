"""tiffin delivery …"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from cli.errors import InputProblem
from cli.options import data_option, filter_options, json_option
from cli.output import print_json, print_json_line, print_table


@click.group()
def delivery() -> None:
    """Look at deliveries, replay them.

    \b
    Example:
      tiffin delivery list --state failed
    """


def _filters(**given: Any) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in given.items() if value is not None}


@delivery.command("list")
@filter_options("tenant", "provider", "connection", "feed", "state", "class", "code", "since", "until")
@click.option("--limit", default=50, show_default=True, help="How many at the most.")
@json_option
@data_option
def list_(limit: int, as_json: bool, data: Path | None, **given: Any) -> None:
    """Lists deliveries, the newest first.

    \b
    Example:
      tiffin delivery list --provider acme --state failed --since 2h
    """
    from dataclasses import asdict

    from cli.store import opened
    from stores import deliveries

    with opened(data) as store, store.reading() as transaction:
        found = deliveries.listed(transaction, _filters(**given), limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [(d.id, d.received_at, d.tenant, d.provider, d.feed, d.event, d.state, d.commands, d.attempt) for d in found]
    print_table(
        ("id", "received", "tenant", "provider", "feed", "event", "state", "commands", "attempts"),
        rows,
        "No deliveries.",
    )


@delivery.command()
@click.argument("id_", metavar="ID")
@json_option
@data_option
def show(id_: str, as_json: bool, data: Path | None) -> None:
    """Shows one delivery: the request with its secrets masked, and what each attempt came to.

    \b
    Example:
      tiffin delivery show 0f3c6a… --json
    """
    from cli.store import opened
    from stores import deliveries, failures

    with opened(data) as store, store.reading() as transaction:
        found = deliveries.get(transaction, id_)
        outcomes = deliveries.outcomes_of(transaction, id_)
        wrong = failures.listed(transaction, {"delivery": id_, "resolved": True}, limit=1000)
    if found is None:
        raise InputProblem(f"There is no delivery {id_}. See: tiffin delivery list")
    told = _told(found, outcomes, wrong)
    if as_json:
        print_json(told)
        return
    _print(told)


def _told(found: Any, outcomes: list[Any], wrong: list[Any]) -> dict[str, Any]:
    import orjson

    return {
        "id": found.id,
        "received_at": found.received_at,
        "tenant": found.tenant,
        "provider": found.provider,
        "connection": found.connection,
        "feed": found.feed,
        "state": outcomes[0].state if outcomes else "in_flight",
        "request": {
            "method": found.method,
            "url": found.url,
            "headers": orjson.loads(found.headers),
            "body": "(sealed: it holds a secret)"
            if found.body_sealed
            else found.body.decode("utf-8", "backslashreplace"),
            "peer": found.peer,
        },
        "spec_hash": found.spec_hash,
        "attempts": [
            {
                "attempt": o.attempt,
                "at": o.at,
                "state": o.state,
                "event": o.event,
                "idempotency_key": o.key_text,
                "duplicate_of": o.holder,
                "commands": o.commands,
                "command_ids": orjson.loads(o.command_ids),
                "stale": o.stale,
                "store": o.external_store,
                "store_id": o.store_id,
                "merchant_id": o.merchant_id,
                "entities": orjson.loads(o.entities),
                "results": orjson.loads(o.results),
            }
            for o in outcomes
        ],
        "failures": [{"id": f.id, "attempt": f.attempt, "resolved_at": f.resolved_at, **f.data} for f in wrong],
    }


def _print(told: dict[str, Any]) -> None:
    click.echo(f"{told['id']}  {told['state']}")
    click.echo(f"{told['tenant']} · {told['provider']} · {told['feed']} · connection {told['connection']}")
    request = told["request"]
    received_at = f"{told['received_at']:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(f"\n{request['method']} {request['url']}   from {request['peer']} at {received_at}")
    for name, value in request["headers"]:
        click.echo(f"  {name}: {value!r}" if not value.isprintable() else f"  {name}: {value}")
    body = request["body"]
    click.echo(f"\n{body if len(body) < 4000 else body[:4000] + '… (--json shows it whole)'}")
    for attempt in told["attempts"]:
        click.echo(f"\nattempt {attempt['attempt']}: {attempt['state']}, {attempt['commands']} commands, "
                   f"key {attempt['idempotency_key'] or 'none'}")  # fmt: skip
        if attempt["duplicate_of"]:
            click.echo(f"  duplicate of {attempt['duplicate_of']}")
    for failure in told["failures"]:
        click.echo(f"\n{failure['class']}/{failure['code']} (failure {failure['id']}): {failure['message']}")
        click.echo(f"  {failure['next_step']}")


@delivery.command()
@click.argument("ids", metavar="[ID]…", nargs=-1)
@filter_options("tenant", "provider", "connection", "feed", "state", "class", "code", "since", "until")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@data_option
def replay(ids: tuple[str, ...], yes: bool, as_json: bool, data: Path | None, **given: Any) -> None:
    """Replays deliveries from their stored bytes: those named, or all that the filters choose.

    The provider file and the mappings of now hold. Commands that were written before are not written again.
    Exit status 1 when a delivery was not accepted.

    \b
    Example:
      tiffin delivery replay --state failed --code unmapped --since 1d
    """
    from cli.store import opened
    from stores import deliveries

    filters = _filters(**given)
    if not ids and not filters:
        raise click.UsageError("name deliveries, or choose them with --state, --code, --since …")
    chosen = list(ids)
    if not chosen:
        with opened(data) as store, store.reading() as transaction:
            chosen = list(deliveries.ids(transaction, filters))
    sys.exit(replay_all(data, chosen, yes, as_json))


def replay_all(data: Path | None, ids: list[str], yes: bool, as_json: bool) -> int:
    """Says how many, asks, replays with progress; the exit status."""
    if not ids:
        click.echo("[]" if as_json else "Nothing to replay.")
        return 0
    if len(ids) > 1 and not yes and sys.stdin.isatty():
        click.confirm(f"Replay {len(ids)} deliveries?", abort=True)
    verdicts = asyncio.run(_replay(data, ids, as_json))
    if not as_json:
        click.echo(", ".join(f"{count} {verdict or 'not run'}" for verdict, count in verdicts.most_common()))
    return 0 if set(verdicts) <= {"accepted", "duplicate", "stale", "ignored"} else 1


async def _replay(data: Path | None, ids: list[str], as_json: bool) -> Counter[str]:
    from cli.store import now, operator, settings_of
    from flows.service import Service
    from stores import audit

    service = Service(settings_of(data), serving=False)
    await service.start()
    verdicts: Counter[str] = Counter()
    try:
        with click.progressbar(
            length=len(ids), label="replaying", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            async for one in service.replay.run(ids):
                verdicts[one.verdict] += 1
                if as_json:
                    print_json_line({"delivery": one.delivery, "verdict": one.verdict, "commands": one.commands,
                                     "failures": [f.to_json() for f in one.failures]})  # fmt: skip
                elif one.verdict != "accepted":
                    click.echo(
                        f"{one.delivery}  {one.verdict or 'not run'}  {one.failures[0].message if one.failures else ''}"
                    )
                bar.update(1)
        who, at = operator(), now()
        await service.journal.write(
            lambda t: audit.append(
                t,
                at,
                who,
                "delivery.replay",
                ids[0] if len(ids) == 1 else f"{len(ids)} deliveries",
                data=dict(verdicts),
            )
        )
    finally:
        await service.stop()
    return verdicts


@delivery.command()
@click.argument("id_", metavar="ID")
@json_option
@data_option
def accept(id_: str, as_json: bool, data: Path | None) -> None:
    """Accepts a delivery that waits because its snapshot would retire more than its guard allows.

    It is compared again: what is absent by now is retired. A snapshot that a newer one has overtaken stays
    stale. Exit status 1 when the delivery was not accepted.

    \b
    Example:
      tiffin delivery accept 0198f2…
    """
    sys.exit(asyncio.run(_accept(data, id_, as_json)))


async def _accept(data: Path | None, id_: str, as_json: bool) -> int:
    from cli.store import now, operator, settings_of
    from flows.service import Service
    from stores import audit
    from stores.writer import Work

    service = Service(settings_of(data), serving=False)
    await service.start()
    try:
        one = await service.replay.accept(id_)
        who, at, told = operator(), now(), {"verdict": one.verdict, "commands": one.commands}
        await service.journal.write(Work(audit.append, at, who, "delivery.accept", id_, data=told))
    finally:
        await service.stop()
    if as_json:
        print_json_line({"delivery": id_, **told, "failures": [f.to_json() for f in one.failures]})
    else:
        said = f": {one.failures[0].message}" if one.failures else ""
        click.echo(f"{id_}  {one.verdict or 'not run'}, {one.commands} commands{said}")
    return 0 if one.verdict in ("accepted", "partial", "stale") else 1
