"""How many elements a message has, told before any of them is evaluated: each takes some kilobytes on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from engine.compiler import Lets, compile_counts
from engine.jsonata import EngineName, JsonataError, Program
from engine.model import Rule


class TooManyElements(Exception):
    """A rule's `each` has more elements than are accepted."""

    def __init__(self, rule: str, count: int) -> None:
        super().__init__(rule, count)
        self.rule, self.count = rule, count


class Counts:
    """Counts the elements of the outermost `each` of rules."""

    def __init__(self, lets: Lets, rules: Mapping[str, Rule], engine: EngineName) -> None:
        self._lets, self._engine = lets, engine
        self._eaches = {name: rule.each for name, rule in rules.items() if rule.each}

    @cached_property
    def _program(self) -> Program:
        return Program(compile_counts(self._lets, self._eaches.values()).text, self._engine)

    def check(self, run: Callable[[Program], Any], most: int) -> None:
        """Raises TooManyElements. An `each` that fails is left to the rules, which say where."""
        if not self._eaches:
            return
        try:
            counts = run(self._program)
        except JsonataError as error:
            if error.spent:
                raise
            return
        for name, count in zip(self._eaches, counts, strict=True):
            if count > most:
                raise TooManyElements(name, int(count))
