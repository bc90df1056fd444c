"""tiffin tail"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from cli.errors import InputProblem
from cli.options import data_option, json_option
from cli.output import print_json_line

_PAUSE = 0.2
_AT_ONCE = 500


@click.command()
@click.argument("topic")
@click.option("--from-beginning", is_flag=True, help="From the oldest message; otherwise only what comes from now on.")
@click.option("--max", "most", type=click.IntRange(min=1), help="End after so many messages.")
@click.option(
    "--follow/--no-follow",
    default=None,
    help="Wait for more at the end. [default: follow, but with --from-beginning only on a terminal]",
)
@json_option
@data_option
def tail(
    topic: str, from_beginning: bool, most: int | None, follow: bool | None, as_json: bool, data: Path | None
) -> None:
    """Prints the messages of a topic: with --json one CloudEvent a line.

    \b
    Example:
      tiffin tail catalog.commands --from-beginning --json
    """
    from bus import TOPICS, open_bus
    from bus.tail import Tail
    from cli.store import settings_of

    if topic not in TOPICS:
        raise InputProblem(f"There is no topic {topic}. There are: {', '.join(TOPICS)}")
    settings = settings_of(data)
    if not settings.kafka_bootstrap and not settings.data.is_dir():
        raise InputProblem(f"There is no data folder {settings.data}. Give --data, or start: tiffin serve")
    if follow is None:
        follow = not from_beginning or sys.stdout.isatty()
    bus = open_bus(settings.kafka_bootstrap, settings.data, settings.kafka_settings)
    try:
        _print(Tail(bus, topic, from_beginning=from_beginning), most, follow, as_json)
    except KeyboardInterrupt:
        pass
    finally:
        bus.close()


def _print(messages: Any, most: int | None, follow: bool, as_json: bool) -> None:
    left = most if most is not None else sys.maxsize
    while left:
        taken = messages.take(min(left, _AT_ONCE))
        for message in taken:
            _print_one(message, as_json)
        left -= len(taken)
        sys.stdout.flush()
        if not taken:
            if not follow:
                return
            time.sleep(_PAUSE)


def _print_one(message: Any, as_json: bool) -> None:
    import orjson

    if as_json:
        click.echo(message.value.decode())
        return
    event = orjson.loads(message.value)
    click.echo(f"{event.get('time', '')}  {event.get('type', '')}  {event.get('subject', '')}  ", nl=False)
    print_json_line(event.get("data"))
