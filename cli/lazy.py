"""Groups whose commands are imported when they are used, so that each starts at once."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click


class Later(NamedTuple):
    """Where a command is defined, and its line in the list of commands."""

    module: str
    attribute: str
    says: str


class LazyGroup(click.Group):
    """Commands by name, in the order of `later`; those that were added as usual stand behind them."""

    def __init__(self, *args: Any, later: Mapping[str, Later], **more: Any) -> None:
        super().__init__(*args, **more)
        self._later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._later, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._later:
            return super().get_command(ctx, name)
        module, attribute, _ = self._later[name]
        found: click.Command = getattr(importlib.import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing is imported for the list."""
        rows = [(name, one.says) for name, one in self._later.items()]
        for name in super().list_commands(ctx):
            command = super().get_command(ctx, name)
            rows += [(name, command.get_short_help_str(100))] if command is not None else []
        with formatter.section("Commands"):
            formatter.write_dl(rows)
