"""Everything of a provider file that a case can reach: feeds, events, rules, branches, lookup entries, handshakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.interpreter import Interpreter
from engine.model import FieldSpec, ListField, Mapped, Provider, Rule
from engine.yaml12 import Document, Path

Point = tuple[str, ...]
"""(feed, event, rule, what, name): the key by which what was reached is remembered."""


@dataclass(frozen=True)
class Reachable:
    """One thing a case can reach. `kind` is feed, event, rule, when, check, lookup, default or handshake."""

    point: Point
    kind: str
    says: str
    place: str


def reachable(interpreter: Interpreter, document: Document) -> list[Reachable]:
    """In order of place."""
    found = list(_points(interpreter.provider, document))
    return sorted(found, key=lambda one: (_line(one.place), one.says))


def _line(place: str) -> tuple[str, int, int]:
    file, line, column = place.rsplit(":", 2)
    return file, int(line), int(column)


def _points(provider: Provider, document: Document) -> Iterator[Reachable]:
    def at(path: Path) -> str:
        return str(document.place_of(path, key=True))

    for name in provider.handshakes:
        yield Reachable(("", "", "", "handshake", name), "handshake", f"handshake {name}", at(("handshakes", name)))
    for name, feed in provider.feeds.items():
        here: Path = ("feeds", name)
        yield Reachable((name, "", "", "feed", ""), "feed", f"feed {name}", at(here))
        rules: list[tuple[str, Path, Mapping[str, Rule]]] = [("", here, feed.commands)]
        for event, one in (feed.events or {}).items():
            place: Path = (*here, "events", event)
            yield Reachable((name, event, "", "event", ""), "event", f"{name}: event {event}", at(place))
            rules.append((event, place, one.commands))
        if feed.event is not None:
            says = f"{name}: an event that is not listed ({feed.otherwise})"
            yield Reachable((name, "", "", "otherwise", ""), "event", says, at((*here, "otherwise")))
        for event, place, commands in rules:
            # A feed's own rules run with each event; they count once.
            yield from _rules(name, event, place, "", commands, provider, document)


def _rules(
    feed: str, event: str, place: Path, prefix: str, rules: Mapping[str, Rule], provider: Provider, document: Document
) -> Iterator[Reachable]:
    for name, rule in rules.items():
        full = prefix + name
        here: Path = (*place, "commands", name)
        label = f"{feed}{f' {event}' if event else ''}: {full}"

        def point(what: str, of: str = "", full: str = full) -> Point:
            return (feed, event, full, what, of)

        if rule.command:
            yield Reachable(point("rule"), "rule", f"{label} emits", str(document.place_of(here, key=True)))
        if rule.when is not None:
            for what, says in (("when", "when is true"), ("unless", "when leaves one out")):
                yield Reachable(point(what), "when", f"{label}: {says}", str(rule.when.scalar.start))
        for code, check in rule.check.items():
            yield Reachable(point("check", code), "check", f"{label}: check {code} fails", str(check.that.scalar.start))
        for field, spec in rule.fields.items():
            for what, of, says, path in _of_field(field, spec, (*here, "fields", field), provider):
                where = str(document.place_of(path, key=True))
                yield Reachable(point(what, of), "lookup" if what == "lookup" else "default", f"{label}.{says}", where)
        yield from _rules(feed, event, here, f"{full}/", rule.commands, provider, document)


def _of_field(name: str, spec: FieldSpec, path: Path, provider: Provider) -> Iterator[tuple[str, str, str, Path]]:
    """(what, name, sentence, path in the file)."""
    if isinstance(spec, ListField):
        for inner, one in spec.fields.items():
            yield from _of_field(f"{name}.{inner}", one, (*path, "fields", inner), provider)
    if not isinstance(spec, Mapped):
        return
    if spec.lookup is not None:
        named = isinstance(spec.lookup, str)
        table = provider.lookups[spec.lookup] if isinstance(spec.lookup, str) else spec.lookup
        for key in table:
            where: Path = ("lookups", str(spec.lookup), key) if named else (*path, "lookup", key)
            yield "lookup", f"{name}={key}", f"{name}: lookup of {key!r}", where
        if "otherwise" in spec.model_fields_set:
            yield "lookup", f"{name}=", f"{name}: a value that is not in the lookup", (*path, "otherwise")
    if spec.default is not None:
        yield "default", name, f"{name}: its default", (*path, "default")
