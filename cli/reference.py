"""Writes the reference of commands, settings and metrics from where each is defined: `python -m cli.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

import click
from prometheus_client.metrics_core import Metric

from cli.main import tiffin
from flows.metrics import GAUGES, LEVELS, SUMS, Metrics
from flows.settings import settings_page
from schemas.generate import Files, main


def commands_page() -> str:
    """docs/reference/commands.md: the help of every command."""
    parts = [
        "# Commands\n\nGenerated from the commands' own help by `python -m cli.reference`. Exit status: 0 all well, "
        "1 the input has problems, 2 wrong usage.\n"
    ]
    for path, command in commands():
        # Click keeps the help option that a command made first: it must be the one that the command line makes.
        names = tiffin.context_settings["help_option_names"]
        context = click.Context(
            command, info_name=path, max_content_width=100, terminal_width=100, help_option_names=names
        )
        parts.append(f"\n## `{path}`\n\n```\n{command.get_help(context)}\n```\n")
    return "".join(parts)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by what is typed for it."""
    yield from _below("tiffin", tiffin)


def _below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command, info_name=path)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None and not inner.hidden:
            yield from _below(f"{path} {name}", inner)


def metrics_page() -> str:
    """docs/reference/metrics.md: what /metrics tells."""
    head = (
        "# Metrics\n\nWhat `GET /metrics` tells, in Prometheus' text format. Generated from `flows/metrics.py` by "
        "`python -m cli.reference`. Label values come from provider files and fixed sets, never from a request.\n\n"
        "| metric | type | labels | what it tells |\n|---|---|---|---|\n"
    )
    rows = [f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {m.says} |\n" for m in metrics()]
    return head + "".join(rows)


class MetricRow(NamedTuple):
    name: str
    kind: str
    labels: tuple[str, ...]
    says: str


def metrics() -> list[MetricRow]:
    """Every metric of a serving process, by the name under which it is scraped."""
    told = Metrics()
    for name in GAUGES:
        told.watch(name, lambda: 0.0)
    for name in (*SUMS, *LEVELS):
        told.watch_each(name, lambda: {"": 0.0})
    told.answered("", "", "")
    told.received("", "")
    told.written("", "", 1)
    told.failed("", "", "")
    told.refused("busy")
    told.observe("total", 0.0)
    return sorted(map(_row, told.registry.collect()))


def _row(metric: Metric) -> MetricRow:
    labels = dict.fromkeys(label for sample in metric.samples for label in sample.labels if label != "le")
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return MetricRow(name, metric.type, tuple(labels), metric.documentation)


PAGES: Files = {
    "docs/reference/commands.md": commands_page,
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/settings.md": settings_page,
}


if __name__ == "__main__":
    sys.exit(main("cli.reference", PAGES))
