"""The interpreter of one provider file: verify, read, draft, finish, reply.

Each stage is a pure function of what is handed in; the flows between them do the storing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.addresses import address_allowed
from engine.auth_model import AnyOf, Auth
from engine.canon import Canon
from engine.compiler import compile_elements
from engine.decoding import decode, unwrapping
from engine.drafting import Draft, draft
from engine.evaluation import RulesProgram
from engine.failures import Failure, Refusal, Unauthorized
from engine.finish import Policy, make_ids, outcome_of
from engine.handshakes import Handshakes
from engine.jsonata import EngineName, JsonataError, Program
from engine.keys import Seen
from engine.messages import Connection, Outcome, Ref, Reply, Request, Result
from engine.model import Event, Expression, Feed, Provider, Rule
from engine.plans import Local, RulePlan, make_plans
from engine.questions import Question, QuestionsProgram
from engine.reading import Head, Reading, ValuesProgram, as_reading, as_text, bindings_of, expression_failure
from engine.replies import ReplyWriter
from engine.routes import Route
from engine.signatures import verify
from engine.snapshots import SnapshotProgram, watched
from engine.unread import all_ignored

if TYPE_CHECKING:
    from engine.json_web_tokens import Issued

_KINDS_PER_STORE = {"pos": frozenset({"item", "variant", "category", "addon_group", "addon"})}
_POLICIES: Mapping[str, Policy] = {
    "merchant": "reject", "store": "reject", "item": "create", "variant": "create",
    "category": "create", "addon_group": "create", "addon": "create", "order": "create",
}  # fmt: skip


@dataclass(frozen=True)
class Branch:
    """The compiled rules of a feed, or of one event of it."""

    head: Head
    rules: Mapping[str, Rule]
    program: RulesProgram
    replies: ReplyWriter
    elements: tuple[tuple[str, tuple[str, ...]], ...]
    elements_program: Program | None
    snapshots: SnapshotProgram | None


class CompiledFeed:
    """A feed with everything that can be prepared before the first request."""

    def __init__(self, name: str, feed: Feed, provider: Provider, canon: Canon, engine: EngineName) -> None:
        self.name, self.feed = name, feed
        self.route = Route(feed.path or name)
        connection = feed.connection or provider.connection
        self.connection = Program(connection.text, engine) if connection else None
        self.event = ValuesProgram(feed.let, {"e": feed.event}, engine) if feed.event else None
        self.questions = QuestionsProgram(feed.let, feed.answer, engine) if feed.answer else None
        make = functools.partial(_branch, name, feed, provider, canon, engine)
        self.plain = make(None)
        self.events = {key: make(event) for key, event in (feed.events or {}).items()}

    @property
    def path(self) -> str:
        """The last part of its URL, with `{name}` for segments that differ from message to message."""
        return self.route.path

    def branch(self, event: str) -> Branch:
        return self.events.get(event, self.plain)

    def ignores(self, event: str) -> bool:
        """Whether the file says that such an event makes nothing."""
        said = (self.feed.events or {}).get(event)
        return said is not None and said.ignore is not None


def _branch(name: str, feed: Feed, provider: Provider, canon: Canon, engine: EngineName, event: Event | None) -> Branch:
    rules = {**feed.commands, **(event.commands if event else {})}
    head = Head(name, feed, event, engine)
    levels = (*((event.replies,) if event else ()), feed.replies, provider.replies)
    by_each: dict[str, list[str]] = {}
    eaches: dict[str, Expression] = {}
    for rule_name, rule in rules.items():
        if rule.each:
            by_each.setdefault(rule.each.text, []).append(rule_name)
            eaches.setdefault(rule.each.text, rule.each)
    elements = compile_elements(head.lets, eaches.values()) if eaches else None
    return Branch(
        head,
        rules,
        RulesProgram(head.lets, rules, engine),
        ReplyWriter(levels, engine),
        tuple((each, tuple(names)) for each, names in by_each.items()),
        Program(elements.text, engine) if elements else None,
        SnapshotProgram(head.lets, rules, canon, engine) if any(watched(rules)) else None,
    )


class Interpreter:
    """A provider file made ready to run. Safe to share between threads."""

    def __init__(self, provider: Provider, spec_hash: str, canon: Canon, engine: EngineName = "jlens") -> None:
        self.provider, self.spec_hash, self.engine = provider, spec_hash, engine
        self._canon = canon
        self._replies = ReplyWriter((provider.replies,), engine)
        self.feeds = {name: CompiledFeed(name, feed, provider, canon, engine) for name, feed in provider.feeds.items()}
        self.handshakes = Handshakes(provider, engine)
        self._policies: Mapping[str, Policy] = {
            **_POLICIES,
            **{str(kind): policy for kind, policy in provider.unmapped.items()},
        }
        per_store = provider.per_store
        self._per_store = (
            frozenset(per_store) if per_store is not None else _KINDS_PER_STORE.get(provider.family, frozenset())
        )
        self._plans = functools.lru_cache(256)(self._make_plans)

    def feed_of(self, method: str, tail: str) -> str | None:
        """The feed that answers a method at the last part of a URL: by its literal path, or else by one with
        placeholders, or else by its name."""
        mine = {name: c for name, c in self.feeds.items() if c.feed.method == method}
        fitting = [name for name, c in mine.items() if c.route.matches(tail)]
        literal = next((name for name in fitting if not mine[name].route.names), None)
        return literal or next(iter(fitting), tail if tail in mine else None)

    def handshakes_at(self, method: str, tail: str) -> tuple[str, ...]:
        """The handshakes that a method at the last part of a URL may be."""
        return self.handshakes.at(method, tail, bool(self.feed_methods(tail)))

    def methods_of(self, tail: str) -> tuple[str, ...]:
        """The methods that are answered at the last part of a URL; empty: nothing has it."""
        methods = self.feed_methods(tail)
        return (*methods, *self.handshakes.methods_of(tail, bool(methods)))

    def feed_methods(self, tail: str) -> tuple[str, ...]:
        """The methods that feeds answer at the last part of a URL."""
        return tuple(c.feed.method for name, c in self.feeds.items() if tail == name or c.route.matches(tail))

    def chooses_connection(self, feed: str) -> bool:
        """Whether the file says which connection a request to a feed, or a handshake, is for."""
        own = self.provider.feeds[feed].connection if feed in self.feeds else None
        return (own or self.provider.connection) is not None

    def connection_key(self, feed: str, request: Request) -> str | None:
        """What the file's `connection:` says of a request to a feed, or of a handshake. Never raises: it only
        selects which secret to try."""
        if feed in self.handshakes:
            return self.handshakes.by_name[feed].connection_key(request)
        compiled = self.feeds[feed]
        if compiled.connection is None:
            return None
        try:
            document = decode(compiled.feed, request)
            return as_text(compiled.connection.evaluate(document, {"request": compiled.route.routed(request).bindings}))
        except (Refusal, JsonataError):
            return None

    def auth_of(self, name: str) -> Auth:
        """How requests of a feed or handshake prove who sent them: the feed's own `auth`, or the file's."""
        compiled = self.feeds.get(name)
        return (compiled.feed.auth if compiled is not None else None) or self.provider.auth

    @property
    def auths(self) -> Auth:
        """The file's auth and those of its feeds as one tree: for what secrets a connection may have."""
        own = tuple(one.feed.auth for one in self.feeds.values() if one.feed.auth is not None)
        return AnyOf(any=(self.provider.auth, *own)) if own else self.provider.auth

    def verify(
        self, name: str, request: Request, connection: Connection, fetched: Mapping[str, bytes] | None = None
    ) -> None:
        """Verifies what came for a feed or handshake. Raises Unauthorized.

        `fetched` holds certificates by URL; KeyNeeded names one that is missing there.
        """
        self.admit(request, connection)
        verify(self.auth_of(name), request, connection.secrets, fetched or {})

    def issue(self, feed: str, request: Request, connection: Connection) -> Issued | None:
        """The token that a login gives out, None of a feed that gives out none. Raises Unauthorized."""
        wanted = self.feeds[feed].feed.issue
        if wanted is None:
            return None
        from engine.json_web_tokens import issue

        return issue(wanted.secret, wanted.lifetime, connection.secrets, request.received_at)

    def admit(self, request: Request, connection: Connection) -> None:
        """Looks at the caller's address alone. Raises Unauthorized."""
        if connection.allow and not address_allowed(request.peer, connection.allow):
            raise Unauthorized(
                Failure(
                    "auth",
                    "address_not_allowed",
                    "The caller's address is not in the connection's allowlist.",
                    "Add the address with --allow, or declare the proxy in TIFFIN_TRUSTED_PROXIES.",
                )
            )

    def read(self, feed: str, request: Request, connection: Connection) -> Reading:
        """Document, event, scope and key. Raises Refusal."""
        compiled = self.feeds[feed]
        request = compiled.route.routed(request)
        return self._read(compiled, decode(compiled.feed, request), request, connection)

    def read_part(self, feed: str, document: Any, request: Request, connection: Connection) -> Reading:
        """The same for a document that was decoded before: a part of a file that is never held whole."""
        compiled = self.feeds[feed]
        if compiled.feed.unwrap:
            document = unwrapping.unwrap(document, compiled.feed.unwrap)
        return self._read(compiled, document, compiled.route.routed(request), connection)

    def _read(self, compiled: CompiledFeed, document: Any, request: Request, connection: Connection) -> Reading:
        event = ""
        if compiled.event is not None:
            event = as_text(compiled.event.evaluate(document, request, connection).get("e")) or ""
        branch = compiled.branch(event)
        scope, key = branch.head.read(document, request, connection, self.provider.provider)
        reading = as_reading((compiled.name, event, document, scope, key, request, connection, None))
        if compiled.event is None:
            return reading
        if event not in compiled.events:
            return reading._replace(settled=self._otherwise(compiled.feed, event))
        return reading._replace(settled=Outcome("ignored")) if compiled.ignores(event) else reading

    def _otherwise(self, feed: Feed, event: str) -> Outcome:
        if feed.otherwise == "ignore":
            return Outcome("ignored")
        failure = Failure(
            "validation",
            "event_unknown",
            f"The event {event!r} is not one of {', '.join(feed.events or ())}.",
            "Add it to the feed's events, or say otherwise: ignore.",
            place=str(feed.event.scalar.start) if feed.event else "",
            facts={"event": event},
        )
        return Outcome("parked" if feed.otherwise == "park" else "rejected", failures=(failure,))

    def asks(self, feed: str) -> bool:
        """Whether a feed answers questions: its requests are no deliveries."""
        return self.feeds[feed].questions is not None

    def questions(self, reading: Reading) -> tuple[Question, ...]:
        """What a request to such a feed asks. Raises Refusal."""
        program = self.feeds[reading.feed].questions
        return program.read(reading) if program else ()

    def draft(self, reading: Reading) -> Draft:
        """Evaluates the rules. Raises Refusal."""
        compiled = self.feeds[reading.feed]
        branch = compiled.branch(reading.event)
        plans = self._plans(reading.feed, reading.event, reading.connection.currency, reading.connection.time_zone)
        drafted = draft(reading, branch.program, plans, self._per_store, compiled.feed.limits.elements)
        if branch.snapshots is None:
            return drafted
        try:
            return drafted._replace(sightings=branch.snapshots.read(reading, plans))
        except JsonataError as error:
            raise Refusal(expression_failure(error, branch.program.fast)) from None

    def plans_of(self, feed: str) -> tuple[RulePlan, ...]:
        """The plans of all rules of a feed, those of its events too, with the file's own defaults."""
        events = ("", *self.feeds[feed].events)
        return tuple(plan for event in events for plan in self._plans(feed, event, None, None))

    def _make_plans(self, feed: str, event: str, currency: str | None, zone: str | None) -> tuple[RulePlan, ...]:
        defaults = self.provider.defaults
        local = Local(currency or defaults.currency, defaults.unit, zone or defaults.time_zone)
        branch = self.feeds[feed].branch(event)
        return tuple(make_plans(branch.rules, self.provider, self._canon, local, self._per_store))

    def finish(
        self,
        drafted: Draft,
        resolved: Mapping[Ref, str],
        delivery: str,
        claimant: str = "",
        seen: Seen | None = None,
    ) -> Outcome:
        """The outcome of a draft. A draft is finished once: its values are filled in place.

        `claimant` is the delivery whose key this one takes over, "" where it claims its own. `seen` tells of the
        commands of a message's other parts.
        """
        reading = drafted.reading
        provider = self.provider
        ids = make_ids(drafted, resolved, provider.provider, self._policies)
        claim = _claim(reading, claimant or delivery)
        outcome = outcome_of(drafted, ids, provider.provider, provider.revision, claim, delivery, seen)
        if outcome.verdict == "parked" and not outcome.failures:
            if any(presence.whole for presence in outcome.presences):
                return outcome._replace(verdict="accepted")
            return self._nothing_emitted(reading, outcome)
        return outcome

    def _nothing_emitted(self, reading: Reading, outcome: Outcome) -> Outcome:
        if all_ignored(reading.document, [entry.path for entry in self.feeds[reading.feed].feed.ignore]):
            return outcome._replace(verdict="ignored")
        failure = Failure(
            "processing",
            "nothing_emitted",
            "The message gave no command, and nothing in the provider file explains it.",
            "Look at what `when` left out; name what may be left unread under ignore.",
        )
        return outcome._replace(failures=(failure,))

    def refused(self, failure: Failure) -> Outcome:
        """The outcome of a Refusal."""
        return Outcome("failed" if failure.cls == "processing" else "rejected", failures=(failure,))

    def results(self, reading: Reading, outcome: Outcome) -> tuple[Result, ...]:
        """What became of each element of the outermost `each`. Rules with the same `each` share elements."""
        branch = self.feeds[reading.feed].branch(reading.event)
        if branch.elements_program is None:
            return ()
        try:
            lists = branch.elements_program.evaluate(reading.document, reading.bindings)
        except JsonataError:
            return ()
        found: list[Result] = []
        for (_, rules), elements in zip(branch.elements, lists or (), strict=False):
            mine = [f for f in outcome.failures if f.rule.split("/", 1)[0] in rules and not f.warning]
            whole = [f for f in outcome.failures if f.element is None and not f.warning]
            found += _results(elements, mine, whole)
        return tuple(found)

    def reply(
        self,
        feed: str | None,
        verdict: str,
        *,
        asked: tuple[Request, Connection] | None = None,
        reading: Reading | None = None,
        outcome: Outcome | None = None,
        failure: Failure | None = None,
        receipt: Mapping[str, Any] | None = None,
        urls: Callable[[], Mapping[str, Any]] | None = None,
        issued: Issued | None = None,
        views: Mapping[str, Any] | None = None,
    ) -> Reply:
        """The answer to the provider. `receipt` is what the receipt URL would show, JSON values only; `asked`
        stands in for a reading that there is none of: nothing was read yet, or it could not be read. `views` is
        what `$view` holds."""
        event = reading.event if reading else ""
        writer = self.feeds[feed].branch(event).replies if feed else self._replies
        problem = failure or next(iter(outcome.failures if outcome else ()), None)
        bindings: dict[str, Any] = {"receipt": dict(receipt or {}), "verdict": verdict}
        if urls is not None and writer.uses("urls", verdict):
            bindings["urls"] = dict(urls())
        if issued is not None:
            bindings["issued"] = issued.to_json()
        if views is not None:
            bindings["view"] = dict(views)
        if problem is not None:
            bindings["problem"] = problem.to_json()
        document = None
        if reading is None and asked is not None and feed and writer.binds(verdict):
            bindings.update(bindings_of(self.feeds[feed].route.routed(asked[0]), asked[1]))
        if reading is not None:
            document = reading.document
            if writer.binds(verdict):
                bindings.update(reading.bindings)
            if outcome is not None and writer.uses("results", verdict):
                bindings["results"] = [_result_json(r) for r in self.results(reading, outcome)]
        return writer.write(verdict, document, bindings)


def _claim(reading: Reading, delivery: str) -> str:
    """What a delivery's commands are keyed by: a payload hash may be accepted again, so its delivery counts."""
    if reading.key is None:
        return f"delivery:{delivery}"
    if reading.key.strategy == "event_id":
        return reading.key.text
    return f"{reading.key.text}:{delivery}"


def _results(elements: Iterable[Any], failures: list[Failure], whole: list[Failure]) -> list[Result]:
    by_element: dict[int, list[Failure]] = {}
    for failure in failures:
        if failure.element is not None:
            by_element.setdefault(failure.element, []).append(failure)
    found = []
    for n, wrapped in enumerate(elements or ()):
        problems = (*whole, *by_element.get(n, ()))
        found.append(Result(wrapped.get("e") if isinstance(wrapped, dict) else wrapped, not problems, problems))
    return found


def _result_json(result: Result) -> dict[str, Any]:
    return {"element": result.element, "ok": result.ok, "problems": [p.to_json() for p in result.problems]}
