"""tiffin topics"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from cli.options import data_option, json_option
from cli.output import print_json, print_table

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Retention(click.ParamType):
    """How long messages stay: 12h, 7d, or `forever`; in milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if value == "forever":
            return -1
        if not (found := re.fullmatch(r"([1-9]\d*)([smhd])", value)):
            self.fail(f"{value!r} is no duration; write 12h, 7d or forever", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


@click.command()
@click.option("--partitions", default=12, show_default=True, type=click.IntRange(min=1), help="Of a new topic.")
@click.option("--replication", default=3, show_default=True, type=click.IntRange(min=1), help="Copies of each message.")
@click.option(
    "--min-insync", type=click.IntRange(min=1), help="Copies that must stand before a message counts as written. "
    "[default: one less than --replication, at least 1]",
)  # fmt: skip
@click.option("--retention", default="7d", show_default=True, type=Retention(), help="How long messages stay.")
@click.option("--check", is_flag=True, help="Change nothing; say what is not as wanted.")
@json_option
@data_option
def topics(
    partitions: int, replication: int, min_insync: int | None, retention: int, check: bool, as_json: bool,
    data: Path | None,
) -> None:  # fmt: skip
    """Creates the topics that are missing on Kafka, and says in what the others are not as wanted.

    Topics that stand are never changed. The embedded log needs none of this. Exit status 1 when one is missing
    or not as wanted.

    \b
    Example:
      TIFFIN_KAFKA_BOOTSTRAP=kafka:9092 tiffin topics --partitions 24
    """
    from dataclasses import asdict

    from bus import TOPICS
    from cli.store import settings_of

    settings = settings_of(data)
    if not settings.kafka_bootstrap:
        if as_json:
            print_json([{"name": name, "state": "embedded", "partitions": 1, "problems": []} for name in TOPICS])
        else:
            click.echo("The embedded log makes its topics itself. Set TIFFIN_KAFKA_BOOTSTRAP for Kafka.")
        return
    from bus.kafka_topics import KafkaTopics, Wanted

    wanted = Wanted(partitions, replication, min_insync or max(1, replication - 1), retention)
    cluster = KafkaTopics(settings.kafka_bootstrap, settings.kafka_settings)
    found = cluster.check(TOPICS, wanted) if check else cluster.ensure(TOPICS, wanted)
    if as_json:
        print_json([asdict(topic) for topic in found])
    else:
        rows = [(t.name, t.state, t.partitions or "", t.replication or "", "; ".join(t.problems)) for t in found]
        print_table(("topic", "state", "partitions", "replication", "problems"), rows)
    if any(topic.problems for topic in found):
        sys.exit(1)
