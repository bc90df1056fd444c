"""Walks the fields of all rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.canon import FieldSchema
from engine.checker.sites import Context, RuleSite
from engine.model import FieldSpec, ListField, Mapped

Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldSite:
    """A field where it stands. `schema` is None for one that is unknown; `known` the names there are."""

    path: Steps
    spec: FieldSpec
    schema: FieldSchema | None
    known: tuple[str, ...]
    command: str


def fields_of(context: Context, site: RuleSite) -> Iterator[FieldSite]:
    """Every field of a rule with a known command, nested ones too."""
    schema = context.canon.commands.get(site.rule.command or "")
    if schema is not None:
        yield from _walk((*site.path, "fields"), site.rule.fields, schema.fields, schema.name)


def known_fields(context: Context) -> Iterator[tuple[FieldSite, FieldSchema]]:
    """Every field of every rule that its command knows."""
    for site in context.rules:
        for one in fields_of(context, site):
            if one.schema is not None and not context.touched(one.path):
                yield one, one.schema


def mapped_fields(context: Context) -> Iterator[tuple[Steps, Mapped]]:
    """Every `{from: …}` with its path, also of rules whose command is unknown."""
    for site in context.rules:
        for one in _walk((*site.path, "fields"), site.rule.fields, {}, ""):
            if isinstance(one.spec, Mapped):
                yield one.path, one.spec


def list_fields(context: Context) -> Iterator[tuple[Steps, ListField]]:
    """Every field that is a list of objects, with its path."""
    for site in context.rules:
        for one in _walk((*site.path, "fields"), site.rule.fields, {}, ""):
            if isinstance(one.spec, ListField):
                yield one.path, one.spec


def _walk(
    path: Steps, specs: Mapping[str, FieldSpec], known: Mapping[str, FieldSchema], command: str
) -> Iterator[FieldSite]:
    for name, spec in specs.items():
        schema = known.get(name)
        yield FieldSite((*path, name), spec, schema, tuple(known), command)
        if isinstance(spec, ListField):
            items = schema.items if schema else None
            inner = items if isinstance(items, Mapping) else {}
            yield from _walk((*path, name, "fields"), spec.fields, inner, command if inner else "")
