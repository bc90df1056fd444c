"""Commands that the canon does not have, and fields that a command must have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from engine.canon import CommandSchema
from engine.checker.sites import Context, RuleSite
from engine.problems import Problem

_WITHOUT_COMMAND = {"fields": "fields_without_command", "version": "version_without_command"}


def commands(context: Context) -> Iterator[Problem]:
    """`unknown_command`, `missing_field`, `fields_without_command`, `rule_does_nothing`."""
    for site in context.rules:
        if not context.touched(site.path):
            yield from _rule(context, site)


def _rule(context: Context, site: RuleSite) -> Iterator[Problem]:
    rule = site.rule
    if rule.command is None:
        if not context.touched((*site.path, "command")):
            yield from _without_command(context, site)
        return
    schema = context.canon.commands.get(rule.command)
    if schema is None:
        near = difflib.get_close_matches(rule.command, context.canon.commands, 1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(sorted(context.canon.commands))}"
        place = context.place((*site.path, "command"))
        yield Problem(place, "unknown_command", f"{rule.command} is not a canonical command", hint)
    elif not context.touched((*site.path, "fields")):
        yield from _missing(context, site, schema)


def _without_command(context: Context, site: RuleSite) -> Iterator[Problem]:
    name = site.path[-1]
    for key, written in (("fields", bool(site.rule.fields)), ("version", site.rule.version is not None)):
        if written:
            message = f"{name} has {key} but no command"
            place = context.place((*site.path, key), key=True)
            yield Problem(place, _WITHOUT_COMMAND[key], message, "add command:")
            return
    if not site.rule.commands:
        place = context.place(site.path, key=True)
        message = f"{name} has neither a command nor nested commands"
        yield Problem(place, "rule_does_nothing", message, "add command:")


def _missing(context: Context, site: RuleSite, schema: CommandSchema) -> Iterator[Problem]:
    """The connection always has a merchant, and the scope may have a store: those are filled in."""
    fields = (*site.path, "fields")
    stumbled = {problem.place for problem in context.document.problems}
    if any(context.place((*fields, name)) in stumbled for name in site.rule.fields):
        return  # YAML took what follows there for a part of another value
    place = context.place(fields if site.rule.fields else site.path, key=True)
    mended = {str(hole[-1]) for hole in context.holes if hole[:-1] == fields}
    scoped = site.has_store or any("scope" in hole for hole in context.holes)
    given = set(site.rule.fields) | mended | {"merchant_id"} | _meant(site, schema)
    for name in sorted(schema.required - given - ({"store_id"} if scoped else set())):
        hint = "add it to fields, or store to the feed's scope" if name == "store_id" else "add it to fields"
        yield Problem(place, "missing_field", f"{schema.name} needs {name}", hint)
    if schema.one_of and not given & set(schema.one_of):
        message = f"{schema.name} needs one of {', '.join(schema.one_of)}"
        yield Problem(place, "missing_field", message, "add one of them to fields")


def _meant(site: RuleSite, schema: CommandSchema) -> set[str]:
    """The fields that unknown ones resemble: a misspelt field is not missing as well."""
    unknown = [name for name in site.rule.fields if name not in schema.fields]
    return {near for name in unknown for near in difflib.get_close_matches(name, schema.fields, 1)}
