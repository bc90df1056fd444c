"""From a reading to a draft: rules evaluated, values read, checks applied, external ids listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.compiler import CHECK, VERSION
from engine.evaluation import BadExpression, Index, RulesProgram
from engine.failures import Failure, Refusal
from engine.jsonata import JsonataError
from engine.messages import Ref
from engine.plans import Column, RulePlan, Values
from engine.reading import Reading, expression_failure
from engine.unreadable import Unreadable


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a rule that may become a command. `store` is the external store id it speaks of."""

    index: Index
    values: Values
    store: str
    version: tuple[str, str] | None


@dataclass(frozen=True)
class Draft:
    """Everything that can be said without the store. `refs` are the external ids to resolve.

    `elements` holds by rule what was neither left out nor rejected; `rejected` the (rule, index) of the
    elements that failed; `refused` is set where a check refuses the delivery as a whole.
    """

    reading: Reading
    plans: tuple[RulePlan, ...]
    elements: Mapping[str, tuple[Element, ...]]
    rejected: frozenset[tuple[str, Index]]
    failures: tuple[Failure, ...]
    refs: frozenset[Ref]
    refused: bool = False


def draft(
    reading: Reading, program: RulesProgram, plans: tuple[RulePlan, ...], per_store: frozenset[str], most: int | None
) -> Draft:
    """Raises Refusal where an evaluation limit is spent or a rule has too many elements."""
    try:
        evaluated = program.evaluate(reading.document, reading.bindings, len(reading.request.body))
    except JsonataError as error:
        raise Refusal(expression_failure(error, program.fast)) from None
    sink = _Failures()
    for bad in evaluated.bad:
        sink.expression(bad, plans)
    elements: dict[str, tuple[Element, ...]] = {}
    refs = _scope_refs(reading)
    for plan in plans:
        rows = evaluated.rows[plan.name]
        if most is not None and len(rows) > most:
            raise Refusal(_too_many(plan, len(rows), most))
        objects = [row.values for row in rows]
        indices = [row.index for row in rows]
        _apply_checks(plan, objects, indices, sink)
        versions = _read_versions(plan, objects, indices, sink)
        plan.columns.read(objects, lambda n, column, error, p=plan, i=indices: sink.unreadable(p, i[n], column, error))  # type: ignore[misc]
        if plan.schema is None:
            elements[plan.name] = ()
            continue
        stores = _stores(plan, objects, reading.scope.store)
        kept = tuple(
            Element(index, values, store, version)
            for index, values, store, version in zip(indices, objects, stores, versions, strict=True)
            if not sink.rejects(plan.name, index)
        )
        elements[plan.name] = kept
        _collect_refs(plan, kept, per_store, refs)
    return Draft(reading, plans, elements, frozenset(sink.rejected), tuple(sink.failures), frozenset(refs), sink.refused)


def _scope_refs(reading: Reading) -> set[Ref]:
    """The merchant and the store of the scope, also where no element names them."""
    named = (("merchant", reading.scope.merchant), ("store", reading.scope.store))
    return {Ref(kind, "", external) for kind, external in named if external}


def _apply_checks(plan: RulePlan, objects: list[Values], indices: list[Index], sink: _Failures) -> None:
    for n, (code, check) in enumerate(plan.rule.check.items()):
        key = f"{CHECK}{n}"
        for index, values in zip(indices, objects, strict=True):
            if values.pop(key, False):
                sink.check(plan, index, code, check.say, check.on_fail, str(check.that.scalar.start))


def _read_versions(
    plan: RulePlan, objects: list[Values], indices: list[Index], sink: _Failures
) -> list[tuple[str, str] | None]:
    """(sortable text, source text) of each object's version; the objects lose the marker."""
    if plan.version is None:
        return [None] * len(objects)
    column = Column(VERSION, None, plan.version.from_.scalar.start, plan.version.from_.text)
    read = plan.version_reader
    found: list[tuple[str, str] | None] = []
    for index, values in zip(indices, objects, strict=True):
        value = values.pop(VERSION, None)
        try:
            found.append(None if value is None or value == "" else (order_text(plan.version.as_, read(value)), str(value)))
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


def _stores(plan: RulePlan, objects: list[Values], scope_store: str) -> list[str]:
    if plan.schema is None or not any(column.name == "store_id" for column in plan.columns.columns):
        return [scope_store] * len(objects)
    return [values.get("store_id") or scope_store for values in objects]


def _collect_refs(plan: RulePlan, elements: Iterable[Element], per_store: frozenset[str], refs: set[Ref]) -> None:
    assert plan.schema is not None
    for column in plan.columns.identities():
        kind, name, within = column.identity, column.name, column.identity in per_store
        assert kind is not None
        for element in elements:
            value = element.values.get(name)
            if value is None:
                continue
            for external in value if column.is_list else (value,):
                refs.add(Ref(kind, element.store if within else "", external))
    for column in plan.columns.nested():
        assert column.inner is not None
        for element in elements:
            _nested_refs(column, element.values.get(column.name) or (), element.store, per_store, refs)
    for element in elements:
        if element.store:
            refs.add(Ref("store", "", element.store))


def _nested_refs(column: Column, objects: Any, store: str, per_store: frozenset[str], refs: set[Ref]) -> None:
    assert column.inner is not None
    for inner in column.inner.columns:
        for values in objects:
            value = values.get(inner.name)
            if value is None:
                continue
            if inner.identity:
                within = store if inner.identity in per_store else ""
                refs.update(Ref(inner.identity, within, one) for one in (value if inner.is_list else (value,)))
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
            facts={"field": named},
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

