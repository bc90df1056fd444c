"""Literals that a field does not allow: of `{value: …}`, of lookups, of `default` and `otherwise`."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.canon import FieldSchema
from engine.checker.field_specs import known_fields
from engine.checker.sites import Context
from engine.model import Constant, Mapped
from engine.problems import Problem
from engine.readers import make_reader
from engine.unreadable import Unreadable
from engine.yaml12 import Path

_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?\Z", re.ASCII)


def values(context: Context) -> Iterator[Problem]:
    """`value_not_allowed`, at the literal."""
    for site, schema in known_fields(context):
        if isinstance(site.spec, Constant):
            yield from _judged(context, (*site.path, "value"), _literal(site.spec.value, schema))
        elif isinstance(site.spec, Mapped):
            yield from _mapped(context, site.path, site.spec, schema)


Advice = tuple[str, str] | None


def _judged(context: Context, path: Path, advice: Advice) -> Iterator[Problem]:
    if advice:
        yield Problem(context.place(path), "value_not_allowed", *advice)


def _mapped(context: Context, path: Path, spec: Mapped, schema: FieldSchema) -> Iterator[Problem]:
    if isinstance(schema.items, Mapping):
        return
    target = schema.items if schema.is_list and schema.items is not None else schema
    if spec.default is not None:
        yield from _judged(context, (*path, "default"), _literal(spec.default, schema))
    if spec.lookup is None:
        return
    named = isinstance(spec.lookup, str)
    table = context.provider.lookups.get(str(spec.lookup), {}) if named else spec.lookup
    where: Path = ("lookups", str(spec.lookup)) if named else (*path, "lookup")
    for key, value in table.items():  # type: ignore[union-attr]
        yield from _judged(context, (*where, key), _looked_up(value, target))
    if "otherwise" in spec.model_fields_set:
        yield from _judged(context, (*path, "otherwise"), _looked_up(spec.otherwise, target))


def _looked_up(value: Any, schema: FieldSchema) -> Advice:
    """What a lookup gives is canonical already; no reader sees it."""
    if advice := _unfit(value, schema):
        return advice
    if value is not None and schema.reader == "decimal" and not (isinstance(value, str) and _DECIMAL.match(value)):
        return f"{schema.name} is a decimal number as text", f'quote it: "{value}"'
    composed = schema.reader in ("money", "quantity") and value is not None and not isinstance(value, Mapping)
    if composed:
        return f"a lookup gives {schema.name} as it goes out", "write {amount: …, " + (
            "currency: …}" if schema.reader == "money" else "unit: …}")  # fmt: skip
    return None


def _literal(value: Any, schema: FieldSchema) -> Advice:
    """A `{value: …}` or a default: amounts may be plain numbers."""
    if schema.is_list:
        if value is None or isinstance(value, list):
            return None if value is not None or schema.nullable else _null(schema)
        return f"{schema.name} is a list", "write [ … ]"
    if advice := _unfit(value, schema):
        return advice
    if value is None or isinstance(value, Mapping | list) or schema.reader in ("text", "id", "flag", "object", None):
        return None
    try:
        _reader(schema.reader or "text")(str(value))
    except Unreadable as error:
        return f"{schema.name} cannot be this: {error}", f"its reader is {schema.reader}"
    return None


@functools.cache
def _reader(name: str) -> Any:
    return make_reader(name, currency="INR", unit="each", time_zone="UTC")


def _null(schema: FieldSchema) -> Advice:
    return f"{schema.name} cannot be cleared", "leave the field out, or give a value"


def _unfit(value: Any, schema: FieldSchema) -> Advice:
    if value is None:
        return None if schema.nullable else _null(schema)
    if schema.enum and value not in schema.enum:
        near = difflib.get_close_matches(str(value), [str(v) for v in schema.enum], 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(map(str, schema.enum))}"
        return f"{schema.name} cannot be {str(value)!r}", hint
    for reader, kind, expected in _KINDS:
        if schema.reader == reader and not (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
            hint = (
                f'quote it: "{str(value).lower() if isinstance(value, bool) else value}"'
                if kind is str
                else f"write {expected}"
            )
            return f"{schema.name} is {expected}", hint
    return None


_KINDS: tuple[tuple[str, type, str], ...] = (
    ("flag", bool, "true or false"),
    ("integer", int, "a whole number"),
    ("text", str, "text"),
    ("id", str, "text"),
    ("object", dict, "a mapping"),
    ("timestamp", str, "text such as 2026-01-18T18:30:00Z"),
    ("date", str, "text such as 2026-01-18"),
)
