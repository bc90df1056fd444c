"""Walks the fields of all rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.canon import FieldSchema
from engine.checker.sites import Context, RuleSite
from engine.model import FieldSpec, ListField, Mapped

Steps = tuple[str, ...]


def mapped_fields(context: Context) -> Iterator[tuple[Steps, Mapped]]:
    """Every `{from: …}` with its path."""
    for site in context.rules:
        for path, spec, _ in _walk((*site.path, "fields"), site.rule.fields, {}):
            if isinstance(spec, Mapped):
                yield path, spec


def fields_of(context: Context, site: RuleSite) -> Iterator[tuple[Steps, FieldSpec, FieldSchema | None]]:
    """Every field of a rule, nested ones too, with its schema; None for one that the command does not know."""
    schema = context.canon.commands.get(site.rule.command or "")
    yield from _walk((*site.path, "fields"), site.rule.fields, schema.fields if schema else {})


def _walk(
    path: Steps, specs: Mapping[str, FieldSpec], known: Mapping[str, FieldSchema]
) -> Iterator[tuple[Steps, FieldSpec, FieldSchema | None]]:
    for name, spec in specs.items():
        field = known.get(name)
        yield (*path, name), spec, field
        if isinstance(spec, ListField):
            items = field.items if field else None
            yield from _walk((*path, name, "fields"), spec.fields, items if isinstance(items, Mapping) else {})
