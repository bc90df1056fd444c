"""From a reading to a draft: rules evaluated, values read, checks applied, external ids listed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from engine.compiler import CHECK, VERSION
from engine.counts import TooManyElements
from engine.evaluation import BadExpression, Index, Row, RulesProgram
from engine.failures import Failure, Refusal
from engine.jsonata import JsonataError
from engine.messages import Ref
from engine.plans import Column, RulePlan, Values
from engine.presences import Sighting
from engine.reading import Reading, expression_failure
from engine.tuples import maker
from engine.unreadable import Unreadable


class Element(NamedTuple):
    """One element of a rule that may become a command. `store` is the external store id it speaks of."""

    position: Index
    values: Values
    store: str
    version: tuple[str, str] | None


_as_element = maker(Element)


class PassedOver(NamedTuple):
    """A rejected element: where it stood, the external store and ids that it names."""

    position: Index
    store: str
    ids: tuple[str, ...]


_NO_SIGHTINGS: Mapping[str, Sighting] = MappingProxyType({})


class Draft(NamedTuple):
    """Everything that can be said without the store. `refs` are the external ids to resolve.

    `elements` holds by rule what was neither left out nor rejected; `rejected` the (rule, index) of the
    elements that failed, and `passed_over` their external ids as far as they could be read; `refused` is
    set where a check refuses the delivery as a whole. `sightings` say who is there, by rules that look after it.
    """

    reading: Reading
    plans: tuple[RulePlan, ...]
    elements: Mapping[str, list[Element]]
    rejected: frozenset[tuple[str, Index]]
    failures: tuple[Failure, ...]
    refs: frozenset[Ref]
    passed_over: Mapping[str, list[PassedOver]]
    refused: bool = False
    sightings: Mapping[str, Sighting] = _NO_SIGHTINGS


_as_draft = maker(Draft)


def draft(
    reading: Reading, program: RulesProgram, plans: tuple[RulePlan, ...], per_store: frozenset[str], most: int
) -> Draft:
    """Raises Refusal where an evaluation limit is spent or a rule has too many elements."""
    bindings = reading.bindings if program.binds else None
    try:
        evaluated = program.evaluate(reading.document, bindings, len(reading.request.body), most)
    except TooManyElements as many:
        raise Refusal(_too_many(next(p for p in plans if p.name == many.rule), many.count, most)) from None
    except JsonataError as error:
        raise Refusal(expression_failure(error, program.fast)) from None
    sink = _Failures()
    for bad in evaluated.bad:
        sink.expression(bad, plans)
    elements: dict[str, list[Element]] = {}
    passed_over: dict[str, list[PassedOver]] = {}
    refs = _scope_refs(reading)
    for plan in plans:
        rows = evaluated.rows[plan.name]
        if len(rows) > most:
            raise Refusal(_too_many(plan, len(rows), most))
        elements[plan.name] = kept = _read_rows(plan, rows, reading.scope.store, sink) if rows else []
        if len(kept) < len(rows):
            passed_over[plan.name] = _passed_over(plan, rows, kept, reading.scope.store)
        _collect_refs(plan, kept, per_store, refs)
    return _as_draft(
        (
            reading,
            plans,
            elements,
            frozenset(sink.rejected),
            tuple(sink.failures),
            frozenset(map(_as_ref, refs)),
            passed_over,
            sink.refused,
            _NO_SIGHTINGS,
        )
    )


def _read_rows(plan: RulePlan, rows: list[Row], store: str, sink: _Failures) -> list[Element]:
    """The rows of a rule as elements, without those that failed."""
    objects = [row.values for row in rows]
    if plan.rule.check:
        _apply_checks(plan, rows, sink)
    versions = _read_versions(plan, rows, sink) if plan.version is not None else None
    plan.columns.read(objects, lambda n, column, error: sink.unreadable(plan, rows[n].position, column, error))
    if plan.schema is None:
        return []
    names_store = plan.names_store
    return [
        _as_element(
            (
                index,
                values,
                (values.get("store_id") or store) if names_store else store,
                versions[n] if versions is not None else None,
            )
        )
        for n, (index, values) in enumerate(rows)
        if not (sink.rejected and sink.rejects(plan.name, index))
    ]


def _passed_over(plan: RulePlan, rows: list[Row], kept: list[Element], store: str) -> list[PassedOver]:
    there = {element.position for element in kept}
    return [
        PassedOver(
            index,
            _text(values.get("store_id")) or store if plan.names_store else store,
            tuple(_text(values.get(identity.name)) for identity in plan.ids),
        )
        for index, values in rows
        if index not in there
    ]


def _text(value: Any) -> str:
    """A value that may not have been read, as far as it can name something."""
    return value.strip() if value.__class__ is str else ""


Mention = tuple[str, str, str]
"""(kind, within, external id): a Ref before it is made one."""

_as_ref = maker(Ref)


def _scope_refs(reading: Reading) -> set[Mention]:
    """The merchant and the store of the scope, also where no element names them."""
    merchant, store = reading.scope
    found: set[Mention] = {("store", "", store)} if store else set()
    if merchant:
        found.add(("merchant", "", merchant))
    return found


def _apply_checks(plan: RulePlan, rows: list[Row], sink: _Failures) -> None:
    for n, (code, check) in enumerate(plan.rule.check.items()):
        key = f"{CHECK}{n}"
        for index, values in rows:
            if values.pop(key, False):
                sink.check(plan, index, code, check.say, check.on_fail, str(check.that.scalar.start))


def _read_versions(plan: RulePlan, rows: list[Row], sink: _Failures) -> list[tuple[str, str] | None]:
    """(sortable text, source text) of each row's version; the rows lose the marker."""
    assert plan.version is not None
    column = Column(VERSION, None, plan.version.from_.scalar.start, plan.version.from_.text)
    read, comparator = plan.version_reader, plan.version.as_
    found: list[tuple[str, str] | None] = []
    for index, values in rows:
        value = values.pop(VERSION, None)
        try:
            told = None if value is None else read(value)
            found.append(None if told is None else (order_text(comparator, told), str(value)))
        except Unreadable as error:
            found.append(None)
            sink.unreadable(plan, index, column, error)
    return found


def order_text(comparator: str, value: Any) -> str:
    """Text that sorts as the versions do: integers with a sign and 20 digits, times in microseconds."""
    if comparator == "integer":
        return f"1{value:020d}" if value >= 0 else f"0{10**20 + value:020d}"
    if comparator == "timestamp":
        whole, _, fraction = str(value).rstrip("Z").partition(".")
        return f"{whole}.{fraction:0<9}Z"
    return str(value)


def _collect_refs(plan: RulePlan, elements: list[Element], per_store: frozenset[str], refs: set[Mention]) -> None:
    for name, kind, within, _ in plan.ids:
        for _, values, store, _ in elements:
            if (value := values.get(name)) is not None:
                refs.add((kind, store if within else "", value))
    for name, kind, within, _ in plan.id_lists:
        for _, values, store, _ in elements:
            for external in values.get(name) or ():
                refs.add((kind, store if within else "", external))
    for column in plan.holders:
        for _, values, store, _ in elements:
            _nested_refs(column, values.get(column.name) or (), store, per_store, refs)
    if plan.names_store:
        refs.update(("store", "", element.store) for element in elements if element.store)


def _nested_refs(column: Column, objects: Any, store: str, per_store: frozenset[str], refs: set[Mention]) -> None:
    assert column.inner is not None
    for inner in column.inner.columns:
        for values in objects:
            value = values.get(inner.name)
            if value is None:
                continue
            if inner.identity:
                within = store if inner.identity in per_store else ""
                refs.update((inner.identity, within, one) for one in (value if inner.is_list else (value,)))
            elif inner.inner:
                _nested_refs(inner, value, store, per_store, refs)


def _too_many(plan: RulePlan, count: int, most: int) -> Failure:
    return Failure(
        "validation",
        "too_many_elements",
        f"The message has {count} elements; at most {most} are accepted.",
        "Send it in smaller parts, or raise limits.elements.",
        place=str(plan.place),
        rule=plan.name,
        facts={"count": count, "most": most},
    )


_PATH = re.compile(r"(?:\$\$?\.)?`?[A-Za-z_@][\w@/]*`?(?:\[\d+\])?(?:\.`?[A-Za-z_@][\w@/]*`?(?:\[\d+\])?)*\Z")


def payload_path(plan: RulePlan, index: Index, expression: str) -> str:
    """The payload path of an element's value (`items[3].variation[0].price`), where expressions are paths."""
    if expression.startswith("$$.") and _PATH.match(expression):
        return expression[3:]
    parts = [
        f"{each.removeprefix('$.') if _PATH.match(each) else ''}[{at}]"
        for each, at in zip(plan.eaches, index, strict=False)
        if each
    ]
    if _PATH.match(expression):
        parts.append(expression.removeprefix("$."))
    return ".".join(parts)


class _Failures:
    """Collects what goes wrong, and which elements it rejects."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.rejected: set[tuple[str, Index]] = set()
        self.refused = False

    def rejects(self, rule: str, index: Index) -> bool:
        """Whether the element or one that it is nested in was rejected."""
        if not self.rejected:
            return False
        names = rule.split("/")
        return any(("/".join(names[:n]), index[:n]) in self.rejected for n in range(1, len(names) + 1))

    def expression(self, bad: BadExpression, plans: tuple[RulePlan, ...]) -> None:
        plan = next((plan for plan in plans if plan.name == bad.rule), None)
        text = str(bad.scalar) if bad.scalar is not None else ""
        failure = Failure(
            "validation",
            "expression_failed",
            f"The expression `{text}` does not work on this value: {bad.error.message}.",
            "Correct the payload, or make the expression bear what was sent.",
            place=str(bad.place) if bad.place else "",
            path=payload_path(plan, bad.index, text) if plan else "",
            rule=bad.rule or "",
            element=bad.index[0] if bad.index else None,
            facts={"engine_code": bad.error.code},
        )
        self._file(failure, bad.rule or "", bad.index)

    def unreadable(self, plan: RulePlan, index: Index, column: Column, error: Unreadable) -> None:
        named = "version" if column.name == VERSION else column.name
        failure = Failure(
            "validation",
            error.code,
            f"{named}: {error.message}.",
            "Send a value of the expected form, or name the reader, lookup or default in the provider file.",
            place=str(column.place),
            path=payload_path(plan, index, column.expression),
            rule=plan.name,
            element=index[0] if index else None,
            facts={"field": named, **({"within": named, **error.facts} if error.facts else {})},
        )
        self._file(failure, plan.name, index)

    def check(self, plan: RulePlan, index: Index, code: str, say: str, on_fail: str, place: str) -> None:
        failure = Failure(
            "validation",
            code,
            f"{say[:1].upper()}{say[1:]}.",
            "Correct what was sent, or the check.",
            place=place,
            path=payload_path(plan, index, ""),
            rule=plan.name,
            element=index[0] if index else None,
            warning=on_fail == "warn",
        )
        self.refused = self.refused or on_fail == "reject_delivery"
        if failure.warning:
            self.failures.append(failure)
        else:
            self._file(failure, plan.name, index)

    def _file(self, failure: Failure, rule: str, index: Index) -> None:
        self.failures.append(failure)
        self.rejected.add((rule, index))
