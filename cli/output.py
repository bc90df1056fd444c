"""How commands print: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
import orjson


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def print_json(value: Any) -> None:
    """Indented JSON on standard output."""
    click.echo(orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2).decode())


def print_json_line(value: Any) -> None:
    click.echo(orjson.dumps(value, default=_plain).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "Nothing.") -> None:
    """A table; `empty` is said where there are no rows. Cells are text, never markup."""
    listed = [[shown(cell) for cell in row] for row in rows]
    if not listed:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in listed:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 200).print(table)


def shown(value: Any) -> str:
    """A cell as text: times to the second in UTC, control characters escaped."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()
