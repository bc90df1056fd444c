"""tiffin delivery …"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from cli.errors import InputProblem
from cli.options import as_option, data_option, filter_options, json_option
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
    from flows.journal import objects_of
    from stores import deliveries, failures, payloads
    from stores.objects import ObjectsAway

    lost = ""
    with opened(data) as store, store.reading() as transaction:
        found = deliveries.get(transaction, id_)
        outcomes = deliveries.outcomes_of(transaction, id_)
        wrong = failures.listed(transaction, {"delivery": id_, "resolved": True}, limit=1000)
        if found is None:
            raise InputProblem(f"There is no delivery {id_}. See: tiffin delivery list")
        try:
            found = payloads.whole(transaction, objects_of(store.settings), found)
        except payloads.PayloadLost as error:
            lost = f"({error})"
        except ObjectsAway as error:
            lost = f"(the object store is away: {error})"
    told = _told(found, outcomes, wrong, lost)
    if as_json:
        print_json(told)
        return
    _print(told)


def _body(found: Any) -> str:
    if found.body_sealed:
        return "(sealed: it holds a secret)"
    text: str = found.body.decode("utf-8", "backslashreplace")
    return text


def _told(found: Any, outcomes: list[Any], wrong: list[Any], lost: str) -> dict[str, Any]:
    """`lost` says why there is no payload, "" where there is one."""
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
            "body": lost or _body(found),
            "peer": found.peer,
            "stands": found.place or "in the row",
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
@as_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@data_option
def replay(ids: tuple[str, ...], as_: str, yes: bool, as_json: bool, data: Path | None, **given: Any) -> None:
    """Replays deliveries from their stored bytes: those named, or all that the filters choose.

    The provider file and the mappings of now hold, or with --as then those by which each was first interpreted.
    Commands that were written before are not written again. What earlier attempts left open is resolved: the new
    one says what is still wrong. Exit status 1 when a delivery was not accepted.

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
    sys.exit(replay_all(data, chosen, as_, yes, as_json))


@delivery.command()
@click.argument("ids", metavar="[ID]…", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every delivery with parked commands.")
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def release(ids: tuple[str, ...], everything: bool, why: str, as_json: bool, data: Path | None) -> None:
    """Hands commands that the bus refused for good back to the relay, once the cause is mended.

    Without ids it lists the deliveries whose commands are parked.

    \b
    Example:
      tiffin delivery release 019a0f3c6a… --why "the topic takes larger messages now"
    """
    from cli.store import now, opened, operator
    from stores import audit, outbox

    if ids and everything:
        raise click.UsageError("name deliveries or say --all, not both")
    with opened(data) as store:
        with store.reading() as transaction:
            parked = outbox.parked_deliveries(transaction)
        if not ids and not everything:
            _print_parked(parked, as_json)
            return
        released: dict[str, int] = {}
        with store.writing() as transaction:
            for id_ in ids or [one[0] for one in parked]:
                released[id_] = outbox.unpark(transaction, id_)
                if released[id_]:
                    audit.append(transaction, now(), operator(), "delivery.release", id_, why)
    if as_json:
        print_json([{"delivery": id_, "rows": rows} for id_, rows in released.items()])
    else:
        click.echo(f"{sum(released.values())} rows of {sum(map(bool, released.values()))} deliveries released")
    if nothing := [id_ for id_, rows in released.items() if not rows]:
        raise InputProblem(f"no parked commands: {', '.join(nothing)}. See: tiffin delivery release")


@delivery.command()
@click.argument("id_", metavar="ID")
@click.option("--why", required=True, help="Said in the audit.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@data_option
def erase(id_: str, why: str, yes: bool, as_json: bool, data: Path | None) -> None:
    """Erases one delivery's payload everywhere: from its row, from object storage and from the archive.

    What quotes it goes too: the results and the failures' messages and facts. That it came, what it came to and
    the ids of its commands stay; commands on the bus are not recalled.

    \b
    Example:
      tiffin delivery erase 019a0f3c6a… --why "asked for by the merchant"
    """
    from cli.archive import archive_of
    from cli.store import opened, operator
    from flows.archive import NotErasable

    if not yes and sys.stdin.isatty():
        click.confirm(f"Erase the payload of {id_} for ever?", abort=True)
    with opened(data) as store:
        try:
            erased = archive_of(store).erase(id_, operator(), why)
        except NotErasable as error:
            raise InputProblem(str(error)) from None
        store.forget_erased()
    if as_json:
        print_json({"delivery": id_, "erased": erased})
    else:
        click.echo("erased" if erased else "was erased before")


def _print_parked(parked: list[tuple[str, int, int]], as_json: bool) -> None:
    if as_json:
        print_json([{"delivery": id_, "rows": rows, "commands": commands} for id_, rows, commands in parked])
    else:
        print_table(("delivery", "rows", "commands"), parked, "No parked commands.")


def replay_all(data: Path | None, ids: list[str], as_: str, yes: bool, as_json: bool) -> int:
    """Says how many, asks, replays with progress; the exit status."""
    if not ids:
        click.echo("[]" if as_json else "Nothing to replay.")
        return 0
    if len(ids) > 1 and not yes and sys.stdin.isatty():
        click.confirm(f"Replay {len(ids)} deliveries?", abort=True)
    verdicts = asyncio.run(_replay(data, ids, as_, as_json))
    if not as_json:
        click.echo(", ".join(f"{count} {verdict or 'not run'}" for verdict, count in verdicts.most_common()))
    return 0 if set(verdicts) <= {"accepted", "duplicate", "stale", "ignored"} else 1


async def _replay(data: Path | None, ids: list[str], as_: str, as_json: bool) -> Counter[str]:
    from cli.store import now, operator, settings_of
    from flows.service import Service
    from stores import audit, desk_groups
    from stores.writer import Work

    service = Service(settings_of(data), serving=False)
    await service.start()
    who = operator()
    verdicts: Counter[str] = Counter()
    try:
        with click.progressbar(
            length=len(ids), label="replaying", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            async for one in service.replay.run(ids, as_then=as_ == "then"):
                verdicts[one.verdict] += 1
                if one.verdict:
                    await service.journal.write(Work(desk_groups.superseded, [one.delivery], who, now()))
                if as_json:
                    print_json_line({"delivery": one.delivery, "verdict": one.verdict, "commands": one.commands,
                                     "failures": [f.to_json() for f in one.failures]})  # fmt: skip
                elif one.verdict != "accepted":
                    click.echo(
                        f"{one.delivery}  {one.verdict or 'not run'}  {one.failures[0].message if one.failures else ''}"
                    )
                bar.update(1)
        at = now()
        await service.journal.write(
            lambda t: audit.append(
                t,
                at,
                who,
                "delivery.replay",
                ids[0] if len(ids) == 1 else f"{len(ids)} deliveries",
                data={**verdicts, "as": as_},
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
    from stores import audit, desk_groups
    from stores.writer import Work

    service = Service(settings_of(data), serving=False)
    await service.start()
    try:
        one = await service.replay.accept(id_)
        who, at, told = operator(), now(), {"verdict": one.verdict, "commands": one.commands}
        await service.journal.write(Work(audit.append, at, who, "delivery.accept", id_, data=told))
        if one.verdict:
            await service.journal.write(Work(desk_groups.superseded, [id_], who, at))
    finally:
        await service.stop()
    if as_json:
        print_json_line({"delivery": id_, **told, "failures": [f.to_json() for f in one.failures]})
    else:
        said = f": {one.failures[0].message}" if one.failures else ""
        click.echo(f"{id_}  {one.verdict or 'not run'}, {one.commands} commands{said}")
    return 0 if one.verdict in ("accepted", "partial", "stale") else 1
