"""What stands beside `from` and does not fit the field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from engine.canon import FieldSchema
from engine.checker.field_specs import known_fields
from engine.checker.sites import Context
from engine.currencies import MINOR_UNITS
from engine.model import Mapped
from engine.problems import Problem

_READ_BY = {
    "money": ("money", "minor_units"),
    "timestamp": ("timestamp", "epoch_s", "epoch_ms"),
    "text": ("text", "id", "decimal", "date", "timestamp", "epoch_s", "epoch_ms"),
    "id": ("id", "text"),
    "integer": ("integer",),
    "decimal": ("decimal",),
    "quantity": (),
    "flag": ("flag",),
    "date": ("date",),
    "object": (),
}
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


def readers(context: Context) -> Iterator[Problem]:
    """`reader_does_not_fit`, `option_without_use` and `literal_currency`."""
    for site, schema in known_fields(context):
        if isinstance(site.spec, Mapped) and not isinstance(schema.items, Mapping):
            yield from _reader(context, site.path, site.spec, schema)
            yield from _options(context, site.path, site.spec, schema)
            yield from _literals(site.spec)


def _reader(context: Context, path: tuple[str, ...], spec: Mapped, schema: FieldSchema) -> Iterator[Problem]:
    if spec.as_ is None:
        return
    place = context.place((*path, "as"))
    fitting = ("list",) if schema.is_list else _READ_BY.get(schema.reader or "", ())
    if spec.lookup is not None:
        message = f"what a lookup gives is not read as {spec.as_}"
        yield Problem(context.place((*path, "as"), key=True), "option_without_use", message, "remove as, or the lookup")
    elif spec.as_ not in fitting:
        own = "list" if schema.is_list else schema.reader
        hint = f"one of {', '.join(fitting)}" if fitting else f"remove as: its own reader is {own}"
        yield Problem(place, "reader_does_not_fit", f"{schema.name} cannot be read as {spec.as_}", hint)


def _options(context: Context, path: tuple[str, ...], spec: Mapped, schema: FieldSchema) -> Iterator[Problem]:
    reader = "list" if schema.is_list and spec.as_ == "list" else spec.as_ or schema.reader
    useful = {
        "otherwise": (
            spec.lookup is not None,
            "otherwise belongs to a lookup",
            "write default: for what is undefined",
        ),
        "currency": (reader in ("money", "minor_units"), f"{schema.name} is no money", "remove currency"),
        "unit": (reader == "quantity", f"{schema.name} is no quantity", "remove unit"),
        "picture": (
            reader in ("timestamp", "date"),
            f"{schema.name} is no time",
            "remove picture, or add as: timestamp",
        ),
        "divide_by": (
            spec.lookup is None and reader in ("money", "quantity", "decimal", "integer"),
            f"{schema.name} is no number",
            "remove divide_by",
        ),
        "separator": (reader == "list", f"{schema.name} is not split", "add as: list, or remove separator"),
    }
    for option, (used, message, hint) in useful.items():
        if option in spec.model_fields_set and not used:
            yield Problem(context.place((*path, option), key=True), "option_without_use", message, hint)


def _literals(spec: Mapped) -> Iterator[Problem]:
    """`currency: INR` reads a payload field of that name."""
    if spec.currency and _CURRENCY.match(spec.currency.text) and spec.currency.text in MINOR_UNITS:
        code = spec.currency.text
        message = f"{code} is an expression here: it reads the payload's field {code}"
        hint = f"""write '"{code}"', or currency under defaults"""
        yield Problem(spec.currency.scalar.start, "literal_currency", message, hint, "warning")
