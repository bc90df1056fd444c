"""Every expression of a provider file, with what is in scope there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.canon import Canon
from engine.compiler import version_expression
from engine.model import Event, Expression, Feed, FieldSpec, ListField, Mapped, Provider, Rendered, Replies, Rule
from engine.yaml12 import Document

GLOBALS = frozenset({"request", "settings"})
REPLY_GLOBALS = GLOBALS | {"results", "problem", "receipt", "view", "urls"}


@dataclass(frozen=True, slots=True)
class Site:
    """An expression where it stands. `names` are the variables in scope, without the dollar sign.

    `feed` is "" outside of feeds; `literal_numbers` is true in replies, where numbers are not a payload's.
    """

    expression: Expression
    names: frozenset[str]
    feed: str
    reply: bool = False


@dataclass(frozen=True, slots=True)
class RuleSite:
    """A rule where it stands. `has_store` says that the feed's or event's scope names a store."""

    path: tuple[str, ...]
    rule: Rule
    feed: str
    has_store: bool
    outer: tuple[Rule, ...]


class Context:
    """A parsed provider file with everything that the rules look at."""

    def __init__(
        self, provider: Provider, document: Document, canon: Canon, samples: Mapping[str, Sequence[Any]]
    ) -> None:
        self.provider, self.document, self.canon, self.samples = provider, document, canon, samples
        self.sites = tuple(_sites(provider))
        self.rules = tuple(_rule_sites(provider))

    def line(self, number: int) -> str:
        """A line of the file, counted from 1."""
        return self.document.lines[number - 1]


def _sites(provider: Provider) -> Iterator[Site]:
    if provider.connection:
        yield Site(provider.connection, GLOBALS, "")
    yield from _reply_sites(provider.replies, GLOBALS, "")
    for name, feed in provider.feeds.items():
        yield from _feed_sites(name, feed)


def _feed_sites(name: str, feed: Feed) -> Iterator[Site]:
    if feed.connection:
        yield Site(feed.connection, frozenset({"request"}), name)
    names = yield from _let_sites(feed.let, GLOBALS, name)
    if feed.event:
        yield Site(feed.event, names, name)
    yield from _branch_sites(feed, names, name)
    for event in (feed.events or {}).values():
        inner = yield from _let_sites(event.let, names, name)
        yield from _branch_sites(event, inner, name)


def _branch_sites(branch: Feed | Event, names: frozenset[str], feed: str) -> Iterator[Site]:
    scope = branch.scope
    for expression in (scope.merchant, scope.store) if scope else ():
        if expression:
            yield Site(expression, names, feed)
    recipe = branch.idempotency
    if recipe is not None and recipe != "none":
        parts = recipe.event_id or (recipe.payload_hash.of if recipe.payload_hash else None) or ()  # type: ignore[union-attr]
        yield from (Site(part, names, feed) for part in parts)
    for rule in branch.commands.values():
        yield from _rule_expression_sites(rule, names, feed)
    yield from _reply_sites(branch.replies, GLOBALS, feed)


def _let_sites(lets: Mapping[str, Expression], names: frozenset[str], feed: str) -> Any:
    for name, expression in lets.items():
        yield Site(expression, names, feed)
        names = names | {name}
    return names


def _rule_expression_sites(rule: Rule, names: frozenset[str], feed: str) -> Iterator[Site]:
    if rule.each:
        yield Site(rule.each, names, feed)
    names = yield from _let_sites(rule.let, names, feed)
    if rule.when:
        yield Site(rule.when, names, feed)
    for check in rule.check.values():
        yield Site(check.that, names, feed)
    for field in rule.fields.values():
        yield from _field_sites(field, names, feed)
    if version := version_expression(rule):
        yield Site(version, names, feed)
    for nested in rule.commands.values():
        yield from _rule_expression_sites(nested, names, feed)


def _field_sites(field: FieldSpec, names: frozenset[str], feed: str) -> Iterator[Site]:
    if isinstance(field, Expression):
        yield Site(field, names, feed)
    elif isinstance(field, Mapped):
        yield from (Site(e, names, feed) for e in (field.from_, field.currency, field.unit) if e)
    elif isinstance(field, ListField):
        yield Site(field.each, names, feed)
        names = yield from _let_sites(field.let, names, feed)
        if field.when:
            yield Site(field.when, names, feed)
        for inner in field.fields.values():
            yield from _field_sites(inner, names, feed)


def _reply_sites(replies: Replies, names: frozenset[str], feed: str) -> Iterator[Site]:
    for verdict in Replies.model_fields:
        spec = getattr(replies, verdict)
        for body in (spec.json_, spec.text) if spec else ():
            if isinstance(body, Rendered):
                yield Site(body.expr, names | REPLY_GLOBALS, feed, reply=True)


def _rule_sites(provider: Provider) -> Iterator[RuleSite]:
    for name, feed in provider.feeds.items():
        base = ("feeds", name)
        yield from _nested_rules((*base, "commands"), feed.commands, name, bool(feed.scope.store), ())
        for key, event in (feed.events or {}).items():
            scope = event.scope or feed.scope
            path = (*base, "events", key, "commands")
            yield from _nested_rules(path, event.commands, name, bool(scope.store), ())


def _nested_rules(
    path: tuple[str, ...], rules: Mapping[str, Rule], feed: str, has_store: bool, outer: tuple[Rule, ...]
) -> Iterator[RuleSite]:
    for name, rule in rules.items():
        yield RuleSite((*path, name), rule, feed, has_store, outer)
        yield from _nested_rules((*path, name, "commands"), rule.commands, feed, has_store, (*outer, rule))
