"""From each value of each command back to the line of the provider file and the value of the payload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.drafting import Draft, Element
from engine.evaluation import Row
from engine.failures import Failure, Refusal
from engine.interpreter import Branch, Interpreter
from engine.jsonata import JsonataError, reads
from engine.messages import Command, Connection, Ref, Request
from engine.model import Constant, Expression, FieldSpec, ListField, Mapped
from engine.plans import RulePlan
from engine.reading import Reading
from engine.yaml12 import Document
from flows.explaining.elements import Elements, Position
from flows.trial import DELIVERY

Told = dict[str, Any]


@dataclass(frozen=True)
class Explanation:
    """`commands` with their fields' origins, `left_out` elements with what left them out, `failures` as they are."""

    verdict: str
    reading: Reading | None
    key: Told | None
    commands: tuple[Told, ...] = ()
    left_out: tuple[Told, ...] = ()
    failures: tuple[Failure, ...] = ()

    def to_json(self) -> Told:
        return {
            "verdict": self.verdict,
            "event": self.reading.event if self.reading else "",
            "idempotency_key": self.key,
            "commands": list(self.commands),
            "left_out": list(self.left_out),
            "failures": [failure.to_json() for failure in self.failures],
        }


def explain(
    interpreter: Interpreter,
    document: Document,
    feed: str,
    request: Request,
    connection: Connection,
    mappings: Mapping[Ref, str],
    create: bool = True,
) -> Explanation:
    """What a request to a feed comes to, with where everything is from. Its signature is not looked at."""
    reading: Reading | None = None
    try:
        reading = interpreter.read(feed, request, connection)
        if reading.settled is not None:
            settled = reading.settled
            return Explanation(settled.verdict, reading, _key(interpreter, reading), failures=settled.failures)
        branch = interpreter.feeds[feed].branch(reading.event)
        raw = _raw(branch, reading)
        drafted = interpreter.draft(reading)
    except Refusal as refusal:
        outcome = interpreter.refused(refusal.failure)
        return Explanation(outcome.verdict, reading, None, failures=outcome.failures)
    where = {id(e.values): (plan, e) for plan in drafted.plans for e in drafted.elements[plan.name]}
    resolved = {ref: found for ref in drafted.refs if (found := _resolve(ref, mappings, create)) is not None}
    outcome = interpreter.finish(drafted, resolved, DELIVERY)
    created = {mapping.ref: mapping.canonical_id for mapping in outcome.mappings}
    made = _Origins(interpreter, document, reading, branch, raw, resolved, created)
    commands = tuple(made.command(n, one, *where[id(one.data)]) for n, one in enumerate(outcome.commands))
    told = {(one["rule"], tuple(one["position"])) for one in commands}
    left = tuple(made.left_out(drafted, told, outcome.failures))
    return Explanation(outcome.verdict, reading, _key(interpreter, reading), commands, left, outcome.failures)


def _resolve(ref: Ref, mappings: Mapping[Ref, str], create: bool) -> str | None:
    found = mappings.get(ref) or mappings.get(ref._replace(within=""))
    return found or (ref.external_id if create and ref.kind == "store" else None)


def _raw(branch: Branch, reading: Reading) -> Mapping[str, dict[Position, dict[str, Any]]]:
    """What the expressions gave, before readers, by rule and position."""
    bindings = reading.bindings if branch.program.binds else None
    try:
        rows: Mapping[str, list[Row]] = branch.program.evaluate(
            reading.document, bindings, len(reading.request.body)
        ).rows
    except JsonataError:
        return {}
    return {name: {row.position: dict(row.values) for row in found} for name, found in rows.items()}


def _key(interpreter: Interpreter, reading: Reading) -> Told | None:
    if reading.key is None:
        return None
    feed = interpreter.provider.feeds[reading.feed]
    event = (feed.events or {}).get(reading.event)
    recipe = (event.idempotency if event else None) or feed.idempotency
    parts: tuple[Expression, ...] = ()
    if recipe != "none":
        parts = recipe.event_id or (recipe.payload_hash.of if recipe.payload_hash else None) or ()
    said = [{"expression": part.text, "place": str(part.scalar.start)} for part in parts]
    return {"text": reading.key.text, "strategy": reading.key.strategy, "parts": said}


class _Origins:
    def __init__(
        self,
        interpreter: Interpreter,
        document: Document,
        reading: Reading,
        branch: Branch,
        raw: Mapping[str, dict[Position, dict[str, Any]]],
        resolved: Mapping[Ref, str],
        created: Mapping[Ref, str],
    ) -> None:
        self._interpreter, self._document, self._reading = interpreter, document, reading
        self._branch, self._raw = branch, raw
        self._external = {canonical: (ref, "mapping") for ref, canonical in resolved.items()}
        self._external |= {canonical: (ref, "created") for ref, canonical in created.items()}
        self._elements = Elements(branch, reading)

    def command(self, n: int, command: Command, plan: RulePlan, element: Element) -> Told:
        data = command.data
        fields = {name: self._field(name, value, plan, element.position) for name, value in data.items()}
        return {
            "number": n,
            "command": command.name,
            "rule": plan.name,
            "place": str(plan.place),
            "entity": command.entity,
            "position": list(element.position),
            "fields": fields,
        }

    def _field(self, name: str, value: Any, plan: RulePlan, position: Position) -> Told:
        spec = plan.rule.fields.get(name)
        told: Told = {"value": value}
        if spec is None:
            told["from"] = self._supplied(name, plan)
        elif isinstance(spec, Constant):
            told |= {"from": "a literal of the file", "place": self._place(plan.name, "fields", name)}
        else:
            told |= self._expressed(spec, plan, position)
            told["raw"] = self._raw.get(plan.name, {}).get(position, {}).get(name)
            told |= self._read(name, spec, plan, told["raw"])
        self._add_identity(told, value)
        return told

    def _supplied(self, name: str, plan: RulePlan) -> str:
        scope = self._interpreter.provider.feeds[self._reading.feed].scope
        event = (self._interpreter.provider.feeds[self._reading.feed].events or {}).get(self._reading.event)
        scope = event.scope if event and event.scope else scope
        said = {"store_id": scope.store, "merchant_id": scope.merchant}.get(name)
        if said is not None:
            return f"scope `{said.text}` at {said.scalar.start}"
        if name == "merchant_id":
            return "the connection"
        if plan.version is not None and name in ("source_version", "source_time"):
            return f"version `{plan.version.from_.text}` at {plan.version.from_.scalar.start}"
        return "the interpreter"

    def _expressed(self, spec: Expression | Mapped | ListField, plan: RulePlan, position: Position) -> Told:
        expression = spec if isinstance(spec, Expression) else spec.each if isinstance(spec, ListField) else spec.from_
        told: Told = {
            "expression": expression.text,
            "place": str(expression.scalar.start),
            "reads": self._elements.reads(plan, position, expression.text),
        }
        if lets := list(self._lets(expression, plan, position)):
            told["lets"] = lets
        return told

    def _lets(self, expression: Expression, plan: RulePlan, position: Position) -> Iterator[Told]:
        known = {**self._branch.head.lets, **plan.rule.let}
        waiting = [expression]
        seen: set[str] = set()
        while waiting:
            try:
                names = reads(waiting.pop().text).bindings
            except JsonataError:
                continue
            for name in sorted(names - seen):
                seen.add(name)
                if name in known:
                    let = known[name]
                    waiting.append(let)
                    yield {
                        "name": name,
                        "expression": let.text,
                        "place": str(let.scalar.start),
                        "reads": self._elements.reads(plan, position, let.text) if name in plan.rule.let else [],
                    }

    def _read(self, name: str, spec: FieldSpec, plan: RulePlan, raw: Any) -> Told:
        schema = plan.schema.fields[name] if plan.schema else None
        mapped = spec if isinstance(spec, Mapped) else None
        told: Told = {"reader": (mapped.as_ if mapped else None) or (schema.reader if schema else None)}
        if mapped is not None and mapped.lookup is not None:
            table = mapped.lookup if isinstance(mapped.lookup, str) else "its own table"
            told["lookup"] = {"table": table, "key": raw}
            told["reader"] = None
        if mapped is not None and mapped.default is not None and raw is None:
            told["default"] = True
        return told

    def _add_identity(self, told: Told, value: Any) -> None:
        if not isinstance(value, str):
            return
        if value in self._external:
            ref, by = self._external[value]
            told["identity"] = {"kind": ref.kind, "external_id": ref.external_id, "within": ref.within, "by": by}

    def _place(self, rule: str, *rest: str) -> str:
        steps: tuple[str, ...] = ("feeds", self._reading.feed)
        names = rule.split("/")
        feed = self._interpreter.provider.feeds[self._reading.feed]
        if names[0] not in feed.commands:
            steps = (*steps, "events", self._reading.event)
        for name in names:
            steps = (*steps, "commands", name)
        return str(self._document.place_of((*steps, *rest)))

    def left_out(
        self, drafted: Draft, told: set[tuple[str, Position]], failures: tuple[Failure, ...]
    ) -> Iterator[Told]:
        """Elements of the outermost rules that gave no command, with what kept them from it."""
        for plan in drafted.plans:
            if "/" in plan.name or plan.schema is None:
                continue
            for n in range(self._elements.count(plan)):
                if (plan.name, (n,)) not in told:
                    yield self._left(plan, (n,), failures)

    def _left(self, plan: RulePlan, position: Position, failures: tuple[Failure, ...]) -> Told:
        path = f"{plan.eaches[0].removeprefix('$.')}[{position[0]}]" if plan.eaches[0] else ""
        told: Told = {"rule": plan.name, "path": path, "position": list(position)}
        mine = [f for f in failures if f.rule == plan.name and f.element == position[0] and not f.warning]
        if mine:
            checks = [f.code for f in mine if f.code in plan.rule.check]
            by = f"check {checks[0]}" if checks else f"failure {mine[0].cls}/{mine[0].code}"
            return {**told, "by": by, "place": mine[0].place, "because": mine[0].message}
        if self._elements.at(plan, position) is None and plan.eaches[0]:
            return {**told, "by": "null", "place": str(plan.place), "because": "The element is null."}
        when = plan.rule.when
        if when is not None and position not in self._raw.get(plan.name, {}):
            reads_ = self._elements.reads(plan, position, when.text)
            said = {"by": "when", "place": str(when.scalar.start), "expression": when.text, "reads": reads_}
            return {**told, **said, "because": f"`{when.text}` is not true of it."}
        return {**told, "by": "delivery", "place": str(plan.place), "because": "The delivery as a whole was refused."}
