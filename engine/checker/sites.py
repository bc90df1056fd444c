"""Every expression and every rule of a provider file, with what is in scope there."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.canon import Canon
from engine.compiler import version_expression
from engine.model import (
    Event,
    Expression,
    Feed,
    FieldSpec,
    Handshake,
    Idempotency,
    ListField,
    Mapped,
    Provider,
    Replies,
    ReplySpec,
    Rule,
    ShownUrl,
)
from engine.places import Place
from engine.reply_bodies import expressions
from engine.salvage import Structure
from engine.yaml12 import Document, Path

BEFORE_CONNECTION = frozenset({"request"})
GLOBALS = frozenset({"request", "settings"})
REPLY_GLOBALS = GLOBALS | {"results", "problem", "receipt", "verdict", "view", "urls", "issued"}

Role = Literal[
    "connection", "let", "event", "scope", "key", "each", "when", "check", "field", "version", "reply", "handshake",
    "fetch",
]  # fmt: skip
Lets = Mapping[str, Expression]


@dataclass(frozen=True, slots=True)
class Site:
    """An expression where it stands. `lets` are those in scope, `always` the names that need none.

    `later` are names that a `let` gives only further down or out of reach of a reply.
    """

    expression: Expression
    role: Role
    feed: str
    lets: Lets = field(default_factory=dict)
    always: frozenset[str] = GLOBALS
    later: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        return self.always | self.lets.keys()

    def place(self, offset: int) -> Place:
        return self.expression.scalar.place(offset)


@dataclass(frozen=True, slots=True)
class RuleSite:
    """A rule where it stands, with its feed's or event's idempotency; `has_store`: the scope names one."""

    path: tuple[str, ...]
    rule: Rule
    feed: str
    has_store: bool
    idempotency: Idempotency | Literal["none"]
    idempotency_path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Decoded payloads by feed. `faulty` ones have wrong values in them: they only show what fields there are."""

    sound: Mapping[str, Sequence[Any]]
    faulty: Mapping[str, Sequence[Any]] = field(default_factory=dict)


class Context:
    """A provider file with everything that the rules look at. `holes` were mended and must not be judged."""

    def __init__(self, structure: Structure, provider: Provider, canon: Canon, samples: Samples | None) -> None:
        self.provider, self.canon, self.samples = provider, canon, samples
        self.document: Document = structure.document
        self.holes = structure.holes
        self.sites = tuple(site for site in _sites(provider) if site.expression.scalar.start.file)
        self.rules = tuple(_rule_sites(provider))

    def touched(self, path: Path) -> bool:
        """Whether the value at a path, or one round it, is not what the file says."""
        return any(path[: len(hole)] == hole for hole in self.holes)

    def place(self, path: Path, key: bool = False) -> Place:
        return self.document.place_of(path, key)


def _sites(provider: Provider) -> Iterator[Site]:
    if provider.connection:
        yield Site(provider.connection, "connection", "", always=BEFORE_CONNECTION)
    yield from _reply_sites(provider.replies, "", {})
    for name, feed in provider.feeds.items():
        yield from _feed_sites(name, feed)
    for handshake in provider.handshakes.values():
        yield from _handshake_sites(handshake)


def _handshake_sites(handshake: Handshake) -> Iterator[Site]:
    yield Site(handshake.when, "handshake", "", always=BEFORE_CONNECTION)
    for shown in handshake.show.values():
        expression = shown.from_ if isinstance(shown, ShownUrl) else shown
        yield Site(expression, "handshake", "", always=BEFORE_CONNECTION)
    there = GLOBALS | {"urls"} | ({"hash"} if handshake.hash else set())
    for expression in _body_expressions(handshake.reply):
        yield Site(expression, "handshake", "", always=there)


def _feed_sites(name: str, feed: Feed) -> Iterator[Site]:
    if feed.connection:
        yield Site(feed.connection, "connection", name, always=BEFORE_CONNECTION, later=frozenset(feed.let))
    lets = yield from _let_sites(feed.let, {}, name)
    if feed.event:
        yield Site(feed.event, "event", name, lets)
    for answer in (feed.answer or {}).values():
        for argument in (answer.store, answer.only, answer.page):
            if argument:
                yield Site(argument, "scope", name, lets)
    yield from _branch_sites(feed, lets, name)
    for event in (feed.events or {}).values():
        inner = yield from _let_sites(event.let, lets, name)
        yield from _branch_sites(event, inner, name)


def _branch_sites(branch: Feed | Event, lets: Lets, feed: str) -> Iterator[Site]:
    scope = branch.scope
    for expression in (scope.merchant, scope.store) if scope else ():
        if expression:
            yield Site(expression, "scope", feed, lets)
    if isinstance(branch.idempotency, Idempotency):
        for part in key_parts(branch.idempotency):
            yield Site(part, "key", feed, lets)
    for rule in branch.commands.values():
        yield from _rule_expression_sites(rule, lets, feed)
        yield from _snapshot_sites(rule, lets, feed)
    yield from _reply_sites(branch.replies, feed, lets)


def key_parts(recipe: Idempotency) -> tuple[Expression, ...]:
    """The expressions of an idempotency recipe."""
    hashed = recipe.payload_hash.of if recipe.payload_hash else None
    return recipe.event_id or hashed or ()


def _let_sites(given: Lets, lets: Lets, feed: str) -> Generator[Site, None, Lets]:
    names = list(given)
    for n, (name, expression) in enumerate(given.items()):
        yield Site(expression, "let", feed, lets, later=frozenset(names[n:]))
        lets = {**lets, name: expression}
    return lets


def _rule_expression_sites(rule: Rule, lets: Lets, feed: str) -> Iterator[Site]:
    if rule.each:
        yield Site(rule.each, "each", feed, lets, later=frozenset(rule.let))
    lets = yield from _let_sites(rule.let, lets, feed)
    if rule.when:
        yield Site(rule.when, "when", feed, lets)
    for check in rule.check.values():
        yield Site(check.that, "check", feed, lets)
    for spec in rule.fields.values():
        yield from _field_sites(spec, lets, feed)
    if version := version_expression(rule):
        yield Site(version, "version", feed, lets)
    yield from _fetch_sites(rule)
    for nested in rule.commands.values():
        yield from _rule_expression_sites(nested, lets, feed)


def _fetch_sites(rule: Rule) -> Iterator[Site]:
    """They read the command's fields or a page, not the feed's payload."""
    if (fetch := rule.fetch) is not None:
        pages = fetch.pages
        over_pages = (pages.cursor, pages.next, pages.offset, pages.more) if pages else ()
        read = (fetch.at, *fetch.query.values(), *fetch.body.values(), *over_pages)
        yield from (Site(e, "fetch", "", always=frozenset({"settings"})) for e in read if isinstance(e, Expression))


def _snapshot_sites(rule: Rule, lets: Lets, feed: str) -> Iterator[Site]:
    """Whether a payload is a snapshot is asked of the whole payload, with the names of its feed."""
    if rule.snapshot and rule.snapshot.when:
        yield Site(rule.snapshot.when, "when", feed, lets, later=frozenset(rule.let))
    for nested in rule.commands.values():
        yield from _snapshot_sites(nested, lets, feed)


def _field_sites(spec: FieldSpec, lets: Lets, feed: str) -> Iterator[Site]:
    if isinstance(spec, Expression):
        yield Site(spec, "field", feed, lets)
    elif isinstance(spec, Mapped):
        yield from (Site(e, "field", feed, lets) for e in (spec.from_, spec.currency, spec.unit) if e)
    elif isinstance(spec, ListField):
        yield Site(spec.each, "each", feed, lets, later=frozenset(spec.let))
        lets = yield from _let_sites(spec.let, lets, feed)
        if spec.when:
            yield Site(spec.when, "when", feed, lets)
        for inner in spec.fields.values():
            yield from _field_sites(inner, lets, feed)


def _reply_sites(replies: Replies, feed: str, lets: Lets) -> Iterator[Site]:
    for verdict in Replies.model_fields:
        spec = getattr(replies, verdict)
        for expression in _body_expressions(spec) if spec else ():
            yield Site(expression, "reply", feed, always=REPLY_GLOBALS, later=frozenset(lets))


def _body_expressions(spec: ReplySpec) -> Iterator[Expression]:
    return expressions((spec.json_, spec.text, spec.xml))


def _rule_sites(provider: Provider) -> Iterator[RuleSite]:
    for name, feed in provider.feeds.items():
        base = ("feeds", name)
        store, at = feed.scope.store is not None, (*base, "idempotency")
        yield from _nested_rules((*base, "commands"), feed.commands, name, store, feed.idempotency, at)
        for key, event in (feed.events or {}).items():
            inner = (*base, "events", key)
            chosen, chosen_at = (
                event.idempotency or feed.idempotency,
                (*inner, "idempotency") if event.idempotency else at,
            )
            store = (event.scope or feed.scope).store is not None
            yield from _nested_rules((*inner, "commands"), event.commands, name, store, chosen, chosen_at)


def _nested_rules(
    path: tuple[str, ...],
    rules: Mapping[str, Rule],
    feed: str,
    has_store: bool,
    idempotency: Idempotency | Literal["none"],
    at: tuple[str, ...],
) -> Iterator[RuleSite]:
    for name, rule in rules.items():
        yield RuleSite((*path, name), rule, feed, has_store, idempotency, at)
        yield from _nested_rules((*path, name, "commands"), rule.commands, feed, has_store, idempotency, at)
