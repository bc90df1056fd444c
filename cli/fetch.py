"""`tiffin fetch`: what is asked of providers, looked at, begun, tried again, ended."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from sqlalchemy import Connection as Transaction

    from engine.fetching import FetchRule
    from engine.messages import Connection
    from stores.fetch_jobs import Job


@click.group()
def fetch() -> None:
    """What is fetched from providers: look at it, begin it, have it tried again, cancel it.

    \b
    Example:
      tiffin fetch list --state failed
    """


def _told(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "tenant": job.tenant,
        "provider": job.provider,
        "connection": job.connection,
        "feed": job.feed,
        "kind": job.kind,
        "pages": job.pages,
        "attempts": job.attempts,
        "every": job.every or None,
        "cause": job.cause or None,
        "created_at": job.created_at,
        "due": job.due if job.state == "open" else None,
        "running": bool(job.owner),
        "complete_since": job.covered_at,
        "last_error": job.last_error or None,
    }


def _found(transaction: Transaction, id_: str) -> Job:
    from stores import fetch_jobs

    found = fetch_jobs.get(transaction, id_)
    if found is None:
        raise InputProblem(f"there is no fetch {id_}. See: tiffin fetch list")
    return found


@fetch.command("list")
@click.option("--state", type=click.Choice(("open", "done", "failed", "cancelled")), help="Only those.")
@click.option("--provider", help="Only those of a provider.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The most of them.")
@json_option
@data_option
def list_(state: str | None, provider: str | None, limit: int, as_json: bool, data: Path | None) -> None:
    """Lists fetches, the newest first. A poll is one fetch that comes back.

    \b
    Example:
      tiffin fetch list --state failed
    """
    from cli.store import opened
    from stores import fetch_jobs

    with opened(data) as store, store.reading() as transaction:
        found = [_told(job) for job in fetch_jobs.listed(transaction, state=state, provider=provider, limit=limit)]
    if as_json:
        print_json(found)
        return
    columns = ("id", "state", "provider", "connection", "feed", "kind", "pages", "attempts", "due", "last_error")
    print_table(columns, [[one[c] for c in columns] for one in found], "No fetches.")


@fetch.command()
@click.argument("id_", metavar="ID")
@json_option
@data_option
def show(id_: str, as_json: bool, data: Path | None) -> None:
    """Says how a fetch does: who asked, which pages came and as which deliveries, and what is wrong.

    \b
    Example:
      tiffin fetch show 5740fb553a7d…
    """
    from cli.store import opened
    from stores import fetch_jobs

    with opened(data) as store, store.reading() as transaction:
        told = _told(_found(transaction, id_))
        pages = [{"page": n, "delivery": d, "at": at} for n, d, at in fetch_jobs.pages_of(transaction, id_)]
    if as_json:
        print_json({**told, "deliveries": pages})
        return
    for name, value in told.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' '):15} {value}")
    print_table(("page", "delivery", "at"), [list(page.values()) for page in pages], "No page has come yet.")


@fetch.command()
@click.argument("id_", metavar="ID")
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def retry(id_: str, why: str, as_json: bool, data: Path | None) -> None:
    """Has a fetch go on at once from the page where it stopped: one that failed, was cancelled, or waits.

    \b
    Example:
      tiffin fetch retry 5740fb553a7d… --why "the token is a new one"
    """
    from cli.store import now, opened, operator
    from stores import audit, fetch_jobs

    with opened(data) as store, store.writing() as transaction:
        job = _found(transaction, id_)
        if not fetch_jobs.again(transaction, id_, now()):
            said = "is worked on" if job.state == "open" else "is done"
            raise InputProblem(f"the fetch {id_} {said}. See: tiffin fetch show {id_}")
        audit.append(transaction, now(), operator(), "fetch.retry", id_, why)
        told = _told(_found(transaction, id_))
    _say(told, "a serving Tiffin goes on with it", as_json)


@fetch.command()
@click.argument("id_", metavar="ID")
@click.option("--why", default="", help="Said in the audit.")
@json_option
@data_option
def cancel(id_: str, why: str, as_json: bool, data: Path | None) -> None:
    """Ends a fetch after the page in hand. A poll rests until `tiffin fetch retry`.

    \b
    Example:
      tiffin fetch cancel 5740fb553a7d… --why "the provider is being moved"
    """
    from cli.store import now, opened, operator
    from stores import audit, fetch_jobs

    with opened(data) as store, store.writing() as transaction:
        job = _found(transaction, id_)
        if not fetch_jobs.cancel(transaction, id_, now()):
            raise InputProblem(f"the fetch {id_} is {job.state}. See: tiffin fetch show {id_}")
        audit.append(transaction, now(), operator(), "fetch.cancel", id_, why)
        told = _told(_found(transaction, id_))
    _say(told, "cancelled", as_json)


@fetch.command()
@click.argument("provider")
@click.option("--connection", "connection_id", help="The connection to ask for. [default: the only one]")
@click.option("--kind", help="What to fetch: the kind of a rule with fetch. [default: the only one]")
@click.option("--feed", help="The feed whose rule it is. [default: the only one with such a rule]")
@click.option("--id", "what", help="The provider's id of what to fetch, where the rule asks for one thing.")
@click.option("--full", is_flag=True, help="Everything, not only what has changed since the last complete fetch.")
@json_option
@data_option
def start(
    provider: str,
    connection_id: str | None,
    kind: str | None,
    feed: str | None,
    what: str | None,
    full: bool,
    as_json: bool,
    data: Path | None,
) -> None:
    """Asks a provider now, without an event: for the first load of a catalogue, or after an outage.

    \b
    Example:
      tiffin fetch start acme --kind catalog --full
    """
    from cli.store import now, opened, operator
    from flows.refreshing.wanted import by_hand
    from stores import audit, fetch_jobs

    with opened(data) as store, store.writing() as transaction:
        rule = _rule(store.settings, provider, kind, feed)
        connection = _connection(transaction, store.box, provider, connection_id)
        job = by_hand(secrets.token_hex(16), connection, rule, what, full=full, now=now())
        if not fetch_jobs.add(transaction, [job]):
            raise InputProblem("the same fetch waits already. See: tiffin fetch list --state open")
        audit.append(transaction, now(), operator(), "fetch.start", job.id, provider)
        found = fetch_jobs.get(transaction, job.id)
        assert found is not None
        told = _told(found)
    _say(told, "a serving Tiffin begins with it", as_json)


def _rule(settings: Any, provider: str, kind: str | None, feed: str | None) -> FetchRule:
    from cli.connection import loaded
    from engine.fetching import fetch_rules

    rules = fetch_rules(loaded(settings, provider).provider)
    fitting = [rule for rule in rules if kind in (None, rule.kind) and feed in (None, rule.feed)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"{rule.feed}/{rule.kind}" for rule in rules) or "none"
    raise InputProblem(f"name one rule with --kind and --feed. Rules with fetch in {provider}: {known}")


def _connection(transaction: Transaction, box: Any, provider: str, id_: str | None) -> Connection:
    from cli.store import now
    from stores import connections

    known = [one for one in connections.enabled(transaction, box, now()) if one.provider == provider]
    fitting = [one for one in known if id_ in (None, one.id)]
    if len(fitting) == 1:
        return fitting[0]
    said = "no connection fits" if not fitting else f"{len(fitting)} connections fit; name one with --connection"
    raise InputProblem(f"{said}. See: tiffin connection list")


def _say(told: dict[str, Any], what: str, as_json: bool) -> None:
    if as_json:
        print_json(told)
    else:
        click.echo(f"{told['id']}  {told['state']}: {what}")
