"""What one request reaches of a provider file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from engine.compiler import CHECK, NESTED
from engine.interpreter import Branch
from engine.jsonata import JsonataError, Program
from engine.model import FieldSpec, ListField, Mapped, Provider, Rule
from engine.plans import as_list
from engine.reading import Reading
from flows.covering.points import Point
from flows.trial import Trial


def reached(provider: Provider, branch: Branch | None, feed: str, trial: Trial) -> set[Point]:
    """The points that a trial passed. `branch` is that of its event, None where it was not read."""
    if trial.handshake and trial.verdict == "handshake":
        return {("", "", "", "handshake", trial.handshake)}
    reading = trial.reading
    if reading is None or feed not in provider.feeds:
        return set()
    found: set[Point] = {(feed, "", "", "feed", "")}
    if reading.settled is not None:
        return {*found, (feed, "", "", "otherwise", "")}
    if reading.event:
        found.add((feed, reading.event, "", "event", ""))
    if branch is None:
        return found
    owners = dict.fromkeys(_event_rules(provider, reading), reading.event)
    for command in trial.outcome.commands:
        found.add((feed, owners.get(command.rule.split("/")[0], ""), command.rule, "rule", ""))
    for rule, what, name in _passed(branch, reading, provider):
        found.add((feed, owners.get(rule.split("/")[0], ""), rule, what, name))
    return found


def _event_rules(provider: Provider, reading: Reading) -> Mapping[str, Rule]:
    event = (provider.feeds[reading.feed].events or {}).get(reading.event)
    return event.commands if event else {}


@lru_cache(64)
def _program(text: str) -> Program:
    return Program(text)


def _passed(branch: Branch, reading: Reading, provider: Provider) -> Iterator[tuple[str, str, str]]:
    """(rule, what, name) of what the rules' program came through."""
    try:
        results = _program(branch.program.fast.text).evaluate(reading.document, reading.bindings)
    except JsonataError:
        evaluated = branch.program.evaluate(reading.document, reading.bindings, len(reading.request.body))
        for name, rule in _all_rules(branch.rules, ""):
            for row in evaluated.rows.get(name, ()):
                yield from _of_values(name, rule, row.values, provider)
        return
    yield from _walked(results, branch.rules, "", provider)


def _all_rules(rules: Mapping[str, Rule], prefix: str) -> Iterator[tuple[str, Rule]]:
    for name, rule in rules.items():
        yield prefix + name, rule
        yield from _all_rules(rule.commands, f"{prefix}{name}/")


def _walked(results: Any, rules: Mapping[str, Rule], prefix: str, provider: Provider) -> Iterator[tuple[str, str, str]]:
    for (name, rule), elements in zip(rules.items(), _lists(results), strict=False):
        full = prefix + name
        for values in _lists(elements):
            if isinstance(values, dict):
                nested = values.get(NESTED)
                yield from _of_values(full, rule, values, provider)
                if nested is not None:
                    yield from _walked(nested, rule.commands, f"{full}/", provider)
            elif values == 0:
                yield full, "unless", ""


def _lists(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _of_values(name: str, rule: Rule, values: Mapping[str, Any], provider: Provider) -> Iterator[tuple[str, str, str]]:
    if rule.when is not None:
        yield name, "when", ""
    for n, code in enumerate(rule.check):
        if f"{CHECK}{n}" in values:
            yield name, "check", code
    for field, spec in rule.fields.items():
        yield from ((name, what, of) for what, of in _of_field(field, spec, values.get(field), provider))


def _of_field(name: str, spec: FieldSpec, value: Any, provider: Provider) -> Iterator[tuple[str, str]]:
    if isinstance(spec, ListField):
        for element in as_list(value) if value is not None else ():
            if isinstance(element, dict):
                for inner, one in spec.fields.items():
                    yield from _of_field(f"{name}.{inner}", one, element.get(inner), provider)
    if not isinstance(spec, Mapped):
        return
    if spec.default is not None and value is None:
        yield "default", name
    if spec.lookup is not None and value is not None:
        table = provider.lookups[spec.lookup] if isinstance(spec.lookup, str) else spec.lookup
        for one in value if isinstance(value, list) else [value]:
            key = str(one).lower() if isinstance(one, bool) else str(one)
            yield "lookup", f"{name}={key if key in table else ''}"
