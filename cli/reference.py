"""Writes the reference of commands, settings and metrics from where each is defined: `python -m cli.reference`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import click
from prometheus_client.metrics_core import Metric

from cli.main import tiffin
from flows.metrics import GAUGES, SUMS, Metrics
from flows.settings import settings_page

ROOT = Path(__file__).resolve().parent.parent


def commands_page() -> str:
    """docs/reference/commands.md: the help of every command."""
    parts = [
        "# Commands\n\nGenerated from the commands' own help by `python -m cli.reference`. Exit status: 0 all well, "
        "1 the input has problems, 2 wrong usage.\n"
    ]
    for path, command in commands():
        context = click.Context(command, info_name=path, max_content_width=100, terminal_width=100)
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
    for name in SUMS:
        told.watch_each(name, lambda: {"": 0.0})
    told.answered("", "", "")
    told.written("", "", 1)
    told.failed("", "", "")
    told.refused("busy")
    told.observe("total", 0.0)
    return sorted(map(_row, told.registry.collect()))


def _row(metric: Metric) -> MetricRow:
    labels = dict.fromkeys(label for sample in metric.samples for label in sample.labels if label != "le")
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return MetricRow(name, metric.type, tuple(labels), metric.documentation)


PAGES: Mapping[str, Callable[[], str]] = {
    "docs/reference/commands.md": commands_page,
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/settings.md": settings_page,
}


def outdated() -> list[str]:
    """The pages that are not what they would be written as."""
    return [page for page, text in PAGES.items() if not _current(ROOT / page, text())]


def _current(page: Path, text: str) -> bool:
    return page.is_file() and page.read_text(encoding="utf-8") == text


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        for page in outdated():
            print(f"{page} is not current: run python -m cli.reference")
        return 1 if outdated() else 0
    for page, text in PAGES.items():
        (ROOT / page).write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
