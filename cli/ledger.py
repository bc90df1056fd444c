"""tiffin ledger"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from cli.options import data_option, json_option
from cli.output import print_json, print_table


@click.command()
@click.option("--deep", is_flag=True, help="Compare the ids of all commands with those on the bus.")
@json_option
@data_option
def ledger(deep: bool, as_json: bool, data: Path | None) -> None:
    """Counts deliveries by state, and commands recorded, pending and published.

    The difference is commands recorded by deliveries less those in the outbox, pending and published. It is 0
    where nothing is lost. Exit status 1 when it is not.

    \b
    Example:
      tiffin ledger --deep
    """
    from cli.store import opened
    from stores import ledger as counts

    with opened(data) as store, store.reading() as transaction:
        found = counts.ledger(transaction)
        told: dict[str, Any] = {
            **found.states,
            "states": found.states,
            "apart": found.apart,
            "commands": {"recorded": found.recorded, "pending": found.pending, "published": found.published},
            "difference": found.difference,
        }
        if deep:
            told["deep"] = _deep(store.settings, transaction)
            told["difference"] += told["deep"]["missing"] + told["deep"]["unknown"]
    if as_json:
        print_json(told)
    else:
        _print(told)
    if told["difference"] or (deep and told["deep"]["conflicting"]):
        sys.exit(1)


def _deep(settings: Any, transaction: Any) -> dict[str, int]:
    """missing: recorded, but neither on the bus nor waiting; unknown: on the bus, but not recorded."""
    from stores import ledger as counts
    from stores.deliveries import received_at

    published: dict[str, bytes] = {}
    removed: set[str] = set()
    conflicting = repeated = 0
    before = counts.removed_before(transaction)
    for id_, delivery, content in _on_the_bus(settings):
        if before is not None and received_at(delivery) < before:
            removed.add(id_)
        if id_ in published:
            repeated += 1
            conflicting += published[id_] != content
        published[id_] = content
    recorded = {id_ for _, ids in counts.recorded_ids(transaction) for id_ in ids}
    pending = set(counts.pending_ids(transaction))
    return {
        "recorded": len(recorded),
        "pending": len(pending),
        "on_the_bus": len(published),
        "missing": len(recorded - pending - published.keys()),
        "unknown": len(published.keys() - recorded - removed),
        "repeated": repeated,
        "conflicting": conflicting,
    }


def _on_the_bus(settings: Any) -> Iterator[tuple[str, str, bytes]]:
    """(id, delivery, hash of the content) of every command on the bus."""
    import hashlib

    import orjson

    from bus import open_bus
    from bus.tail import Tail
    from bus.topics import CATALOG_COMMANDS

    bus = open_bus(settings.kafka_bootstrap, settings.data, settings.kafka_settings)
    try:
        tail = Tail(bus, CATALOG_COMMANDS, from_beginning=True)
        while taken := tail.take(1000):
            for message in taken:
                event = orjson.loads(message.value)
                content = orjson.dumps([event["type"], event["data"]], option=orjson.OPT_SORT_KEYS)
                yield event["id"], event["deliveryid"], hashlib.sha256(content).digest()
    finally:
        bus.close()


def _print(told: dict[str, Any]) -> None:
    print_table(("state", "deliveries"), sorted(told["states"].items()), "No deliveries.")
    if told["apart"]:
        click.echo("")
        print_table(("counted apart", "requests"), sorted(told["apart"].items()))
    click.echo("")
    commands = told["commands"]
    click.echo(
        f"commands    {commands['recorded']} recorded, {commands['pending']} pending, {commands['published']} published"
    )
    if "deep" in told:
        deep = told["deep"]
        click.echo(f"on the bus  {deep['on_the_bus']}, {deep['missing']} missing, {deep['unknown']} unknown, "
                   f"{deep['conflicting']} conflicting")  # fmt: skip
    click.echo(f"difference  {told['difference']}")
