"""Lookups that miss a value of a sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.checker.samples import lets_of
from engine.checker.sites import Context
from engine.compiler import compile_values
from engine.evaluation import RulesProgram
from engine.jsonata import JsonataError, Program
from engine.model import Event, Feed, FieldSpec, ListField, Mapped, Rule
from engine.plans import as_list, make_lookup
from engine.problems import Problem
from engine.reading import as_text
from engine.unreadable import Unreadable
from engine.yaml12 import Path

_BINDINGS: dict[str, Any] = {"request": {"headers": {}, "query": {}}, "settings": {}}
Misses = dict[Path, list[str]]


def sampled_lookups(context: Context) -> Iterator[Problem]:
    """`lookup_misses_value`, as a warning at the lookup: the first element with that value would be rejected."""
    if context.samples is None:
        return
    for name, payloads in context.samples.sound.items():
        feed = context.provider.feeds.get(name)
        if feed is None or context.holes:
            continue
        misses: Misses = {}
        for payload in payloads:
            _judge(context, name, feed, payload, misses)
        for path, values in misses.items():
            shown = ", ".join(repr(value) for value in values[:5])
            message = f"a sample has {shown}, which the lookup does not know"
            hint = "add it, or say otherwise: what any other value becomes"
            yield Problem(context.place((*path, "lookup"), key=True), "lookup_misses_value", message, hint, "warning")


def _judge(context: Context, name: str, feed: Feed, payload: Any, misses: Misses) -> None:
    base: Path = ("feeds", name)
    try:
        event_name, event = _event(feed, payload)
        branches: list[tuple[Path, Event | None, Mapping[str, Rule]]] = [(base, None, feed.commands)]
        if event is not None:
            branches.append(((*base, "events", event_name), event, event.commands))
        for at, chosen, rules in branches:
            rows = RulesProgram(lets_of(feed, chosen), rules, "jlens").evaluate(payload, _BINDINGS, 0).rows
            for path, rule, key in _rules((*at, "commands"), rules):
                _fields(context, (*path, "fields"), rule.fields, [row.values for row in rows[key]], misses)
    except (JsonataError, RecursionError):
        return  # the syntax is judged elsewhere, and a sample may want what only a request has


def _event(feed: Feed, payload: Any) -> tuple[str, Event | None]:
    if feed.event is None:
        return "", None
    program = Program(compile_values(feed.let, {"e": feed.event}).text)
    name = as_text((program.evaluate(payload, _BINDINGS) or {}).get("e")) or ""
    return name, (feed.events or {}).get(name)


def _rules(path: Path, rules: Mapping[str, Rule], prefix: str = "") -> Iterator[tuple[Path, Rule, str]]:
    for name, rule in rules.items():
        yield (*path, name), rule, f"{prefix}{name}"
        yield from _rules((*path, name, "commands"), rule.commands, f"{prefix}{name}/")


def _fields(
    context: Context, path: Path, specs: Mapping[str, FieldSpec], objects: Iterable[Any], misses: Misses
) -> None:
    found = [o for o in objects if isinstance(o, dict)]
    for name, spec in specs.items():
        values = [o[name] for o in found if o.get(name) is not None]
        if isinstance(spec, ListField):
            inner = [element for value in values for element in as_list(value)]
            _fields(context, (*path, name, "fields"), spec.fields, inner, misses)
        elif isinstance(spec, Mapped) and spec.lookup is not None and "otherwise" not in spec.model_fields_set:
            table = context.provider.lookups.get(spec.lookup) if isinstance(spec.lookup, str) else spec.lookup
            if table is not None:
                _missed((*path, name), table, values, misses)


def _missed(path: Path, table: Mapping[str, Any], values: Iterable[Any], misses: Misses) -> None:
    read = make_lookup(table, None, False)
    for value in values:
        for one in as_list(value):
            try:
                if one is not None and one != "":
                    read(one)
            except Unreadable:
                known = misses.setdefault(path, [])
                if str(one) not in known:
                    known.append(str(one))
