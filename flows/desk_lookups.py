"""A value that a lookup has not: added to the table for the connections that send it, as an override."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from engine.model import FieldSpec, ListField, Mapped, Provider, Rule
from engine.problems import ProviderFileError
from engine.reply_bodies import plain
from engine.resolved_text import resolved_text
from engine.yaml12 import survey
from flows.providers import LoadedProvider, with_overrides
from stores import audit, connections
from stores import tables as t

MOST_CONNECTIONS: Final = 50
_LONGEST_TEXT: Final = 200


class OverrideRefused(Exception):
    """The provider file with the override does not load; the text says why."""


@dataclass(frozen=True, slots=True)
class Table:
    """A lookup: what a person calls it, the keys under which an override changes it, and what it has."""

    name: str
    path: tuple[str, ...]
    known: Mapping[str, Any]


class Change(NamedTuple):
    """The overrides of a connection before and after."""

    connection: str
    before: str
    after: str


def table_of(provider: Provider, feed: str, rule: str, field: str, place: str) -> Table | None:
    """The lookup that a failure's field reads by. Of several with that name the one at the failure's place."""
    found = [
        (str(spec.from_.scalar.start) == place, spec, path)
        for path, owner, name, spec in _mapped_fields(provider, feed)
        if (owner, name) == (rule, field)
    ]
    if not found:
        return None
    _, spec, path = max(found, key=lambda one: one[0])
    if isinstance(spec.lookup, str):
        return Table(spec.lookup, ("lookups", spec.lookup), plain(provider.lookups[spec.lookup]))
    return Table(f"of {field}", (*path, "lookup"), plain(spec.lookup))


_Found = tuple[tuple[str, ...], str, str, Mapped]


def _mapped_fields(provider: Provider, feed: str) -> Iterator[_Found]:
    """(path of keys, rule, field, what it says) of every field with a lookup."""
    found = provider.feeds.get(feed)
    if found is None:
        return
    at = ("feeds", feed)
    yield from _of_rules(found.commands, (*at, "commands"))
    for name, event in (found.events or {}).items():
        yield from _of_rules(event.commands, (*at, "events", name, "commands"))


def _of_rules(rules: Mapping[str, Rule], path: tuple[str, ...]) -> Iterator[_Found]:
    for name, rule in rules.items():
        yield from _of_fields(rule.fields, (*path, name, "fields"), name)
        yield from _of_rules(rule.commands, (*path, name, "commands"))


def _of_fields(fields: Mapping[str, FieldSpec], path: tuple[str, ...], rule: str) -> Iterator[_Found]:
    for name, spec in fields.items():
        if isinstance(spec, ListField):
            yield from _of_fields(spec.fields, (*path, name, "fields"), rule)
        elif isinstance(spec, Mapped) and spec.lookup is not None:
            yield (*path, name), rule, name, spec


def values_of(table: Table | None) -> list[Any]:
    """What a table's keys mean, each once, in its order."""
    return [] if table is None else list({repr(one): one for one in table.known.values()}.values())


def chosen(table: Table, known: str, other: str) -> Any:
    """The value by its number among `values_of`, or another text; None where nothing is chosen."""
    if known == "other":
        return other if 0 < len(other) <= _LONGEST_TEXT else None
    values = values_of(table)
    return values[int(known)] if known.isdecimal() and len(known) < 6 and int(known) < len(values) else None


def changes(
    loaded: LoadedProvider, table: Table, key: str, value: Any, overrides: Mapping[str, str]
) -> tuple[Change, ...]:
    """What the overrides of each connection become. Raises OverrideRefused."""
    made = []
    for id, before in overrides.items():
        after = _with(before, (*table.path, key), value)
        try:
            with_overrides(loaded, after)
        except ProviderFileError as error:
            raise OverrideRefused(f"{id}: {error.problems[0].message}") from None
        made.append(Change(id, before, after))
    return tuple(made)


def _with(text: str, path: tuple[str, ...], value: Any) -> str:
    """YAML with one more value in it; its comments go. Raises OverrideRefused."""
    document = survey(text or "{}", "overrides")
    if document.problems or not isinstance(document.data, dict):
        raise OverrideRefused("the overrides that stand cannot be read")
    return resolved_text(replace(document, data=_merged(document.data, path, value)))


def _merged(data: Any, path: tuple[str, ...], value: Any) -> dict[Any, Any]:
    known = data if isinstance(data, dict) else {}
    first, rest = path[0], path[1:]
    return {**known, first: _merged(known.get(first), rest, value) if rest else value}


def store(transaction: Connection, made: tuple[Change, ...], *, who: str, why: str, at: datetime) -> bool:
    """Sets all overrides, each with its entry in the audit. False, and none, where one stands otherwise by now."""
    c = t.connections.c
    chosen_rows = select(c.id, c.overrides).where(c.id.in_([one.connection for one in made])).order_by(c.id)
    standing = {row[0]: row[1] or "" for row in transaction.execute(chosen_rows.with_for_update())}
    if standing != {one.connection: one.before for one in made}:
        return False
    for one in made:
        connections.override(transaction, one.connection, one.after, at)
        told = {"before": one.before, "after": one.after}
        audit.append(transaction, at, who, "connection.override", one.connection, why, told)
    return True
