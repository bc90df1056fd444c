"""Fields that a command does not know, and values that a field does not allow."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from engine.canon import FieldSchema
from engine.checker.field_specs import Steps, fields_of
from engine.checker.sites import Context, RuleSite
from engine.model import Constant, FieldSpec, ListField, Mapped
from engine.problems import Problem


def fields(context: Context) -> Iterator[Problem]:
    """`unknown_field`, `value_not_allowed`, `list_expected`, `reader_does_not_fit`."""
    for site in context.rules:
        if site.rule.command in context.canon.commands:
            for path, spec, field in fields_of(context, site):
                if field is None:
                    yield _unknown(context, site, path)
                else:
                    yield from _spec(context, path, spec, field)


def _unknown(context: Context, site: RuleSite, path: Steps) -> Problem:
    known = _known(context, site, path)
    near = difflib.get_close_matches(path[-1], known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    place = context.document.place_of(path, key=True)
    return Problem(place, "unknown_field", f"{site.rule.command} has no field {path[-1]!r}", hint)


def _known(context: Context, site: RuleSite, path: Steps) -> list[str]:
    fields = context.canon.commands[site.rule.command or ""].fields
    for step in path[len(site.path) + 1 : -1]:
        if step != "fields":
            field = fields.get(step)
            fields = field.items if field and isinstance(field.items, dict) else {}
    return list(fields)


def _spec(context: Context, path: Steps, spec: FieldSpec, field: FieldSchema) -> Iterator[Problem]:
    if isinstance(spec, ListField) and not isinstance(field.items, dict):
        place = context.document.place_of(path, key=True)
        yield Problem(place, "list_expected", f"{field.name} is not a list of objects", "write one expression")
    if isinstance(spec, Constant):
        yield from _value(context, (*path, "value"), spec.value, field)
    if isinstance(spec, Mapped):
        yield from _mapped(context, path, spec, field)


def _mapped(context: Context, path: Steps, spec: Mapped, field: FieldSchema) -> Iterator[Problem]:
    written = spec.model_fields_set
    if isinstance(spec.lookup, dict):
        for key, value in spec.lookup.items():
            yield from _value(context, (*path, "lookup", key), value, field)
    elif isinstance(spec.lookup, str):
        for key, value in context.provider.lookups.get(spec.lookup, {}).items():
            yield from _value(context, ("lookups", spec.lookup, key), value, field)
    for name in ("otherwise", "default"):
        if name in written:
            yield from _value(context, (*path, name), getattr(spec, name), field)
    if "otherwise" in written and spec.lookup is None:
        place = context.document.place_of((*path, "otherwise"), key=True)
        yield Problem(place, "otherwise_without_lookup", "otherwise belongs to a lookup", "write default: for undefined")
    if spec.currency is not None and (spec.as_ or field.reader) not in ("money", "minor_units"):
        place = context.document.place_of((*path, "currency"), key=True)
        yield Problem(place, "reader_does_not_fit", f"{field.name} is no money", "remove currency")
    if spec.as_ is not None and not _fits(spec.as_, field):
        place = context.document.place_of((*path, "as"))
        yield Problem(place, "reader_does_not_fit", f"{field.name} is not read as {spec.as_}", f"its own reader is {field.reader}")


_READ_BY = {
    "money": {"money", "minor_units"},
    "timestamp": {"timestamp", "epoch_s", "epoch_ms"},
    "text": {"text", "id", "integer", "decimal", "date", "timestamp"},
    "id": {"id", "text"},
    "integer": {"integer"},
    "decimal": {"decimal", "integer"},
    "quantity": {"quantity", "decimal", "integer"},
    "flag": {"flag"},
    "date": {"date"},
}


def _fits(reader: str, field: FieldSchema) -> bool:
    if field.is_list:
        return True
    return field.reader is None or reader in _READ_BY.get(field.reader, {reader})


def _value(context: Context, path: Steps, value: Any, field: FieldSchema) -> Iterator[Problem]:
    target = field.items if field.is_list and isinstance(field.items, FieldSchema) else field
    if target.is_list or isinstance(value, list | dict):
        return
    place = context.document.place_of(path)
    if value is None:
        if not field.nullable:
            yield Problem(place, "value_not_allowed", f"{field.name} cannot be cleared", "leave the field out")
    elif target.enum and value not in target.enum:
        near = difflib.get_close_matches(str(value), [str(v) for v in target.enum], 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(map(str, target.enum))}"
        yield Problem(place, "value_not_allowed", f"{field.name} cannot be {str(value)!r}", hint)
    elif target.reader == "flag" and not isinstance(value, bool):
        yield Problem(place, "value_not_allowed", f"{field.name} is true or false", "write true or false")
    elif isinstance(value, bool) and target.reader not in ("flag", "object", None):
        yield Problem(place, "value_not_allowed", f"{field.name} is not a flag", "write a text or a number")
