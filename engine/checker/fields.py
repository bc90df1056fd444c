"""Fields that a command does not know, and lists that are none."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from engine.canon import FieldSchema
from engine.checker.field_specs import FieldSite, fields_of
from engine.checker.sites import Context
from engine.model import ListField, Mapped
from engine.problems import Problem


def fields(context: Context) -> Iterator[Problem]:
    """`unknown_field`, `missing_field` within lists, `list_expected`."""
    for rule in context.rules:
        for site in fields_of(context, rule):
            if site.schema is None:
                if site.known:
                    yield _unknown(context, site)
            elif isinstance(site.spec, ListField):
                yield from _list(context, site, site.spec, site.schema)
            elif isinstance(site.spec, Mapped) and isinstance(site.schema.items, Mapping):
                yield from _mapped_list(context, site, site.spec)


def _unknown(context: Context, site: FieldSite) -> Problem:
    near = difflib.get_close_matches(site.path[-1], site.known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(site.known))}"
    place = context.place(site.path, key=True)
    return Problem(place, "unknown_field", f"{site.command} has no field {str(site.path[-1])!r} here", hint)


def _list(context: Context, site: FieldSite, spec: ListField, schema: FieldSchema) -> Iterator[Problem]:
    place = context.place(site.path, key=True)
    if not isinstance(schema.items, Mapping):
        yield Problem(place, "list_expected", f"{schema.name} is not a list of objects", "write one expression for it")
        return
    for name, inner in schema.items.items():
        if inner.required and name not in spec.fields and not context.touched((*site.path, "fields", name)):
            yield Problem(place, "missing_field", f"each of {schema.name} needs {name}", f"add {name}: to its fields")


def _mapped_list(context: Context, site: FieldSite, spec: Mapped) -> Iterator[Problem]:
    for key in ("lookup", "otherwise", "currency", "unit", "picture", "separator", "as"):
        if ("as_" if key == "as" else key) in spec.model_fields_set:
            message = f"{site.path[-1]} is a list of objects: {key} is not for it"
            hint = "write {each: …, fields: {…}}"
            yield Problem(context.place((*site.path, key), key=True), "list_expected", message, hint)
