"""Options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
why_option: Decorator = click.option("--why", default="", help="Said in the audit.")
data_option: Decorator = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data folder. [default: TIFFIN_DATA, else ./data]",
)

as_option: Decorator = click.option(
    "--as",
    "as_",
    type=click.Choice(["now", "then"]),
    default="now",
    show_default=True,
    help="By the provider file and mappings of now, or of when it was first interpreted.",
)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType):
    """A time in RFC 3339, or how long ago: 30m, 2h, 7d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        if value[:-1].isdigit() and value[-1:] in _UNITS:
            return datetime.now(UTC) - timedelta(**{_UNITS[value[-1]]: int(value[:-1])})
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-01-18T11:30:00Z, or how long ago: 30m, 2h, 7d", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def filter_options(*names: str) -> Decorator:
    """`--tenant`, `--provider`, … as keyword arguments; None where not given."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            kind = Moment() if name in ("since", "until") else str
            parameter = "class_" if name == "class" else name
            function = click.option(f"--{name}", parameter, type=kind, help=_HELP[name])(function)
        return function

    return decorate


_HELP = {
    "tenant": "Only this tenant's.",
    "provider": "Only this provider's.",
    "connection": "Only this connection's.",
    "feed": "Only this feed's.",
    "state": "Only those in this state.",
    "class": "Only those with an open failure of this class.",
    "code": "Only those with an open failure of this code.",
    "since": "Only what was received since then (RFC 3339, or 30m, 2h, 7d ago).",
    "until": "Only what was received before then.",
    "kind": "Only this kind of id.",
    "delivery": "Only this delivery's.",
}


def pairs(values: tuple[str, ...], separator: str, what: str) -> tuple[tuple[str, str], ...]:
    """`NAME=VALUE` or `Name: value` options taken apart. Raises UsageError."""
    found = []
    for value in values:
        name, sign, rest = value.partition(separator)
        if not sign or not name.strip():
            raise click.UsageError(f"{value!r} is not {what}")
        found.append((name.strip(), rest.strip() if separator == ":" else rest))
    return tuple(found)


def duration(text: str, option: str) -> int:
    """Seconds of `90s`, `30m`, `24h`, `7d`. Raises UsageError."""
    from engine.model import seconds_of

    try:
        seconds = seconds_of(text)
    except ValueError:
        seconds = None
    if not isinstance(seconds, int) or seconds > 100 * 365 * 86_400:
        raise click.UsageError(f"{option} {text}: write 0s, 30m, 24h or 7d")
    return seconds
