"""tiffin alert …"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import InputProblem
from cli.options import data_option, duration, json_option
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from stores.alerts import Alert, Message

KINDS = ("failure_rate", "outbox_age", "silent_connection", "quarantine")


@click.group()
def alert() -> None:
    """Rules of which a webhook of yours is told: once when it begins, once when it is over.

    \b
    Example:
      tiffin alert add outbox_age --above 10m --url https://hooks.example/tiffin
    """


@alert.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--url", required=True, help="Where messages are posted. https, and a public address.")
@click.option("--above", help="The bound: percent, requests, or a time as 10m. [default: see below]")
@click.option("--within", help="failure_rate: the time looked back on. [default: 15m]")
@click.option("--least", type=int, help="failure_rate: fewer deliveries say nothing. [default: 20]")
@click.option("--provider", default="", help="Only this provider's.")
@click.option("--connection", default="", help="Only this connection's.")
@click.option(
    "--remind", default="24h", show_default=True, help="How often it is told again, at most thrice; 0s: never."
)
@click.option("--secret", help="env:VAR or @file with the signing secret (whsec_…). [default: a new one]")
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def add(
    kind: str, url: str, above: str | None, within: str | None, least: int | None, provider: str, connection: str,
    remind: str, secret: str | None, why: str, as_json: bool, data: Path | None,
) -> None:  # fmt: skip
    """Adds a rule and prints its signing secret, once.

    failure_rate: more than 20 % of at least 20 deliveries of 15 minutes failed, were parked or quarantined.
    outbox_age: a command has waited for the bus for more than 5m. silent_connection: a connection is silent for
    longer than its habit, or than --above. quarantine: more than 50 requests are in it.

    \b
    Example:
      tiffin alert add failure_rate --above 10 --within 30m --provider acme --url https://hooks.example/tiffin
    """
    from cli.store import now, opened, operator
    from flows.alerting.kinds import new_alert, new_secret, usable_secret
    from stores import alerts

    seconds = duration(within, "--within") if within else None
    given = _secret(secret) if secret else new_secret()
    usable_secret(given)
    made = new_alert(
        kind, url, above=_bound(kind, above), within=seconds, least=least, provider=provider,
        connection=connection, remind=duration(remind, "--remind"), who=operator(), at=now(),
    )  # fmt: skip
    with opened(data) as store, store.writing() as transaction:
        kept = alerts.add(transaction, made, store.box.seal(url.encode()), store.box.seal(given.encode()), why)
    if not kept:
        raise InputProblem(f"There are {alerts.MOST} alerts. Remove one first: tiffin alert remove ID")
    if as_json:
        print_json({**_shown(made), **({} if secret else {"secret": given})})
        return
    click.echo(made.id)
    if not secret:
        click.echo(given)
        click.echo("The second line signs its messages. Keep it now: it is not shown again.", err=True)


def _bound(kind: str, text: str | None) -> int | None:
    if text is None:
        return None
    if kind in ("outbox_age", "silent_connection"):
        return duration(text, "--above")
    plain = text.removesuffix("%") if kind == "failure_rate" else text
    if not plain.isdecimal():
        raise click.UsageError(f"--above {text}: a whole number is expected")
    return int(plain)


def _secret(given: str) -> str:
    import os

    if given.startswith("env:"):
        return os.environ.get(given[4:], "")
    if given.startswith("@"):
        try:
            return Path(given[1:]).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputProblem(f"--secret cannot be read: {type(error).__name__}") from None
    raise click.UsageError("--secret: write env:VAR or @file, so that no secret stands in the shell's history")


@alert.command("list")
@json_option
@data_option
def list_(as_json: bool, data: Path | None) -> None:
    """Lists rules, what stands of each, and how the last message went.

    \b
    Example:
      tiffin alert list --json
    """
    from cli.store import opened
    from stores import alerts

    with opened(data) as store, store.reading() as transaction:
        found = alerts.listed(transaction)
        standing = alerts.standing(transaction)
        last = alerts.latest(transaction, [one.id for one in found])
    firing = {one.id: [s.subject or "all" for s in standing if s.alert == one.id] for one in found}
    if as_json:
        print_json([{**_shown(a), "firing": firing[a.id], "last": _told(last.get(a.id))} for a in found])
        return
    print_table(
        ("id", "kind", "above", "of", "to", "firing", "last message"),
        [(a.id, a.kind, _above(a), a.connection or a.provider, a.host, firing[a.id], _went(last.get(a.id)))
         for a in found],
        "No alerts. Add one: tiffin alert add outbox_age --url https://…",
    )  # fmt: skip


def _above(one: Alert) -> str:
    if one.above is None:
        return "its habit"
    return f"{one.above} {'%' if one.kind == 'failure_rate' else 's' if one.kind != 'quarantine' else ''}".strip()


def _shown(one: Alert) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(one)


def _told(message: Message | None) -> dict[str, object] | None:
    if message is None:
        return None
    names = ("id", "type", "subject", "at", "attempts", "sent_at", "due_at", "problem")
    return {name: getattr(message, name) for name in names}


def _went(message: Message | None) -> str:
    if message is None:
        return ""
    if message.sent_at is not None:
        return f"{message.type} taken {message.sent_at:%Y-%m-%d %H:%M:%S}"
    state = "given up" if message.due_at is None else f"tried {message.attempts} times"
    return f"{message.type} {state}: {message.problem}" if message.attempts else f"{message.type} waits"


@alert.command()
@click.argument("id_", metavar="ID")
@json_option
@data_option
def test(id_: str, as_json: bool, data: Path | None) -> None:
    """Sends a test message now and says whether it was taken. Exit status 1 where it was not.

    \b
    Example:
      tiffin alert test al1f0c9d2e7b
    """
    import asyncio

    from cli.store import now, opened, operator
    from flows.alerting.testing import keep_test, send_test
    from flows.alerting.watch import poster_for
    from stores import alerts

    with opened(data) as store:
        settings, unseal = store.settings, store.box.unseal
        with store.reading() as transaction:
            rule, sealed = alerts.get(transaction, id_), alerts.sealed_target(transaction, id_)
        assert sealed is not None
        poster = poster_for(settings.alert_networks)()
        message = asyncio.run(send_test(rule, sealed, unseal, poster, now, settings.public_url))
        with store.writing() as transaction:
            keep_test(transaction, message, operator())
    if as_json:
        print_json(_told(message))
    else:
        click.echo(message.problem or f"taken by {rule.host}")
    sys.exit(1 if message.problem else 0)


@alert.command()
@click.argument("id_", metavar="ID")
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def remove(id_: str, why: str, as_json: bool, data: Path | None) -> None:
    """Removes a rule with its messages. What it told is not told to be over.

    \b
    Example:
      tiffin alert remove al1f0c9d2e7b --why "another channel"
    """
    from cli.store import now, opened, operator
    from stores import alerts

    with opened(data) as store, store.writing() as transaction:
        removed = alerts.remove(transaction, id_, operator(), now(), why)
    if not removed:
        raise alerts.AlertUnknown(id_)
    if as_json:
        print_json({"id": id_, "removed": True})
    else:
        click.echo(f"{id_} is removed")
