"""Which paths take one of a few values, so that another one is news.

Those that the provider file compares with literals, looks up in a table or routes events by, known by the field's
name; and those at which golden cases show few code-like values, each more than once. All else is free text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from engine.checker.samples import programs_of
from engine.model import Feed, ListField, Mapped, Provider, Rule
from flows.observing.shapes import Shape

_COMPARED = re.compile(r"(?:\b([A-Za-z_]\w*)|`([^`]+)`)\)*\s*(?:!=|=|\bin\b)\s*(\[[^\]]*\]|\"[^\"]*\"|'[^']*')")
_LITERAL = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_LAST = re.compile(r"(?:([A-Za-z_]\w*)|`([^`]+)`)\)*\s*\Z")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,31}\Z")
_SHOWN = 8
_FEW = 5

Named = Mapping[str, frozenset[str]]
"""By a field's name, the values that the provider file names, in lower case."""


def named_by_file(provider: Provider, feed: Feed) -> Named:
    """What a feed compares, looks up and routes by."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for source in programs_of(feed):
        for match in _COMPARED.finditer(source.text):
            literals = (a or b for a, b in _LITERAL.findall(match[3]))
            found[match[1] or match[2]].update(one.lower() for one in literals)
    for mapped in _lookups(feed):
        if name := _last_name(mapped.from_.text if mapped.from_ is not None else ""):
            table = provider.lookups.get(mapped.lookup, {}) if isinstance(mapped.lookup, str) else mapped.lookup
            found[name].update(str(key).lower() for key in table or ())
    if feed.event is not None and (name := _last_name(feed.event.text)):
        found[name].update(str(key).lower() for key in feed.events or ())
    return {name: frozenset(values) for name, values in found.items() if values}


def _last_name(text: str) -> str:
    found = _LAST.search(text)
    return (found[1] or found[2]) if found else ""


def _lookups(feed: Feed) -> Iterator[Mapped]:
    for event in (None, *(feed.events or {}).values()):
        yield from _in_rules((event.commands if event else feed.commands).values())


def _in_rules(rules: Iterable[Rule]) -> Iterator[Mapped]:
    for rule in rules:
        yield from _in_fields(rule.fields.values())
        yield from _in_rules(rule.commands.values())


def _in_fields(fields: Iterable[object]) -> Iterator[Mapped]:
    for one in fields:
        if isinstance(one, ListField):
            yield from _in_fields(one.fields.values())
        elif isinstance(one, Mapped) and one.lookup is not None:
            yield one


def is_new_value(name: str, shape: Shape, value: str, named: Named) -> bool:
    """Whether a path whose last field is `name` takes one of a few values, and this is another one."""
    if value in shape.values:
        return False
    if name in named:
        return value.lower() not in named[name]
    return _few(shape)


def _few(shape: Shape) -> bool:
    values = shape.values
    return (
        shape.count >= _SHOWN
        and 1 < len(values) <= _FEW
        and min(values.values()) > 1
        and all(_CODE.match(value) for value in values)
    )


def is_code(value: str) -> bool:
    """Whether a value may be shown as that of an enumeration: a short word, no text of a person's."""
    return _CODE.match(value) is not None or (value.isdecimal() and len(value) <= 3)
