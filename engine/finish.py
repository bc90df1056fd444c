"""From a draft and resolved ids to an outcome: canonical ids in, schemas checked, envelopes written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from engine.drafting import Draft, Element, payload_path
from engine.envelope import Envelope
from engine.failures import Failure
from engine.keys import CommandKeys, canonical_id
from engine.messages import Command, EntityVersion, NewMapping, Outcome, Ref, Verdict
from engine.plans import Column, Columns, RulePlan, Values

Policy = Literal["reject", "create", "park"]


@dataclass(frozen=True, slots=True)
class Ids:
    """External ids made canonical. `created` maps a new canonical id to what it stands for."""

    known: Mapping[tuple[str, str, str], str]
    created: Mapping[str, Ref]
    merchant: str
    allowed_stores: frozenset[str]
    policies: Mapping[str, Policy]


def make_ids(
    draft: Draft, resolved: Mapping[Ref, str], provider: str, policies: Mapping[str, Policy]
) -> Ids:
    """Canonical ids of everything a draft mentions; an id that must not be created is left out."""
    connection = draft.reading.connection
    default_merchant = connection.merchant or connection.tenant
    known: dict[tuple[str, str, str], str] = {}
    created: dict[str, Ref] = {}
    for ref in draft.refs:
        if (found := resolved.get(ref)) is not None:
            known[ref] = found
        elif ref.kind == "merchant" and policies["merchant"] == "reject":
            known[ref] = default_merchant
        elif policies[ref.kind] == "create":
            made = canonical_id(connection.tenant, provider, *ref)
            known[ref] = made
            created[made] = ref
    scope = draft.reading.scope
    merchant = known.get(("merchant", "", scope.merchant), default_merchant) if scope.merchant else default_merchant
    return Ids(known, created, merchant, frozenset(connection.stores), policies)


class Finisher:
    """Turns the elements of one draft into commands."""

    def __init__(self, draft: Draft, ids: Ids, provider: str, revision: int, claim: str, delivery: str) -> None:
        reading = draft.reading
        self._draft, self._ids = draft, ids
        self._tenant = reading.connection.tenant
        self._keys = CommandKeys(self._tenant, provider, claim)
        self._envelope = Envelope(self._tenant, provider, reading.feed, revision, delivery, reading.request.received_at)
        self.failures: list[Failure] = list(draft.failures)
        self.parked = False
        self._rejected = set(draft.rejected)
        self._per_store = {ref.kind for ref in draft.refs if ref.within}
        self._occurrences: dict[tuple[str, ...], int] = {}

    def commands(self) -> list[Command]:
        if (refusal := self._scope_refusal()) is not None:
            self.failures.append(refusal)
            return []
        made: list[Command] = []
        for plan in self._draft.plans:
            if plan.schema is not None:
                made += self._rule(plan, self._draft.elements[plan.name])
        return made

    def store_of_scope(self) -> str:
        return self._ids.known.get(("store", "", self._draft.reading.scope.store), "")

    def _scope_refusal(self) -> Failure | None:
        """One failure for the delivery where its own store is unknown or not the connection's."""
        store = self._draft.reading.scope.store
        if store:
            canonical = self._ids.known.get(("store", "", store))
            if canonical is None:
                return self._unmapped(Ref("store", "", store))
            if self._ids.allowed_stores and canonical not in self._ids.allowed_stores:
                return _not_allowed("store", store)
        owner = self._draft.reading.connection.merchant
        if owner and self._ids.merchant != owner:
            return _not_allowed("merchant", self._draft.reading.scope.merchant)
        return None

    def _rule(self, plan: RulePlan, elements: Iterable[Element]) -> list[Command]:
        assert plan.schema is not None
        scalars = [c for c in plan.columns.identities() if not c.is_list]
        ready: list[tuple[Element, tuple[str, ...]]] = []
        for element in elements:
            if self._rejects(plan.name, element):
                continue
            external = tuple(str(element.values.get(c.name) or "") for c in scalars)
            if self._identify(plan, element):
                ready.append((element, external))
        valid = self._validated(plan, ready)
        return [self._command(plan, element, external) for element, external in valid]

    def _rejects(self, rule: str, element: Element) -> bool:
        if not self._rejected:
            return False
        names = rule.split("/")
        return any(("/".join(names[:n]), element.index[:n]) in self._rejected for n in range(1, len(names) + 1))

    def _identify(self, plan: RulePlan, element: Element) -> bool:
        """Replaces external ids by canonical ones and adds merchant and store; False when one is missing."""
        assert plan.schema is not None
        values, fields = element.values, plan.schema.fields
        missing = _insert(plan.columns, values, element.store, self._per_store, self._ids.known)
        if missing:
            for column, ref in missing:
                self._reject(plan, element, self._unmapped(ref, plan, element, column))
            return False
        if "merchant_id" in fields and not values.get("merchant_id"):
            values["merchant_id"] = self._ids.merchant
        if "store_id" in fields and not values.get("store_id") and element.store:
            values["store_id"] = self._ids.known[("store", "", element.store)]
        if element.version is not None:
            order, source = element.version
            values.setdefault("source_version", source)
            if plan.version is not None and plan.version.as_ == "timestamp":
                values.setdefault("source_time", _plain_time(order))
        return self._allowed(plan, element)

    def _allowed(self, plan: RulePlan, element: Element) -> bool:
        connection = self._draft.reading.connection
        store, merchant = element.values.get("store_id"), element.values.get("merchant_id")
        if store and self._ids.allowed_stores and store not in self._ids.allowed_stores:
            self._reject(plan, element, _not_allowed("store", element.store, plan, element))
            return False
        if connection.merchant and merchant and merchant != connection.merchant:
            self._reject(plan, element, _not_allowed("merchant", str(merchant), plan, element))
            return False
        return True

    def _validated(
        self, plan: RulePlan, ready: list[tuple[Element, tuple[str, ...]]]
    ) -> list[tuple[Element, tuple[str, ...]]]:
        schema = plan.schema
        assert schema is not None
        if schema.valid_many([element.values for element, _ in ready]):
            return ready
        good = []
        for element, external in ready:
            if schema.valid(element.values):
                good.append((element, external))
                continue
            for path, sentence in schema.explain(element.values):
                self._reject(plan, element, _invalid(plan, element, path, sentence))
        return good

    def _command(self, plan: RulePlan, element: Element, external: tuple[str, ...]) -> Command:
        assert plan.schema is not None
        values, name = element.values, plan.schema.name
        occurrence = self._occurrences.get(key := (plan.name, element.store, *external), 0)
        self._occurrences[key] = occurrence + 1
        subject = next((values[f] for f in plan.schema.subject if values.get(f)), "")
        store, merchant = values.get("store_id"), values["merchant_id"]
        data = orjson.dumps(values)
        commandkey = self._keys.key(plan.name, (element.store, *external), occurrence)
        command_id = self._keys.id(commandkey, data)
        kafka_key = f"{self._tenant}/{store or merchant}"
        version = None
        if element.version is not None:
            entity = f"{name}/{store or ''}/{subject}"
            version = EntityVersion(entity, *element.version)
        event = self._envelope.event(name, command_id, commandkey, subject, kafka_key, values.get("source_time"), data)
        return Command(
            command_id, commandkey, name, plan.name, subject, kafka_key, values, event, element.index[0], version
        )

    def _reject(self, plan: RulePlan, element: Element, failure: Failure) -> None:
        self.failures.append(failure)
        self._rejected.add((plan.name, element.index))

    def _unmapped(
        self, ref: Ref, plan: RulePlan | None = None, element: Element | None = None, column: Column | None = None
    ) -> Failure:
        if self._ids.policies[ref.kind] == "park":
            self.parked = True
        where = f" in store {ref.within}" if ref.within else ""
        return Failure(
            "mapping",
            "unmapped",
            f"The {ref.kind} {ref.external_id!r}{where} is not mapped to a canonical id.",
            f"Map it (tiffin mapping set … {ref.kind} {ref.external_id} …), then replay.",
            place=str(column.place) if column else "",
            path=payload_path(plan, element.index, column.expression) if plan and element and column else "",
            rule=plan.name if plan else "",
            element=element.index[0] if element else None,
            facts={"kind": ref.kind, "within": ref.within, "external_id": ref.external_id},
        )

    def new_mappings(self, commands: Iterable[Command]) -> tuple[NewMapping, ...]:
        """The created ids that the commands carry; ids of rejected elements are not created."""
        if not self._ids.created:
            return ()
        used: set[str] = set()
        for command in commands:
            _texts(command.data, used)
        return tuple(NewMapping(ref, made) for made, ref in self._ids.created.items() if made in used)


def _texts(value: Any, into: set[str]) -> None:
    if value.__class__ is str:
        into.add(value)
    elif value.__class__ is dict:
        for inner in value.values():
            _texts(inner, into)
    elif value.__class__ is list:
        for inner in value:
            _texts(inner, into)


def _insert(
    columns: Columns, values: Values, store: str, per_store: set[str], known: Mapping[tuple[str, str, str], str]
) -> list[tuple[Column, Ref]]:
    """Puts canonical ids in place; returns what is not known."""
    missing: list[tuple[Column, Ref]] = []
    for column in columns.columns:
        if column.identity:
            value = values.get(column.name)
            if value is None:
                values.pop(column.name, None)
                continue
            kind, within = column.identity, store if column.identity in per_store else ""
            found = [known.get((kind, within, one)) for one in (value if column.is_list else (value,))]
            if None in found:
                absent = value[found.index(None)] if column.is_list else value
                missing.append((column, Ref(kind, within, absent)))
            else:
                values[column.name] = found if column.is_list else found[0]
        elif column.inner:
            for inner in values.get(column.name) or ():
                missing += _insert(column.inner, inner, store, per_store, known)
    return missing


def _plain_time(order: str) -> str:
    whole, _, fraction = order.rstrip("Z").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def _not_allowed(kind: str, external: str, plan: RulePlan | None = None, element: Element | None = None) -> Failure:
    return Failure(
        "auth",
        "scope_not_allowed",
        f"The connection may not speak for the {kind} {external!r}.",
        f"Send it through the {kind}'s own connection, or widen this connection.",
        rule=plan.name if plan else "",
        element=element.index[0] if element else None,
        facts={"kind": kind, "external_id": external},
    )


def _invalid(plan: RulePlan, element: Element, path: str, sentence: str) -> Failure:
    field = path.split(".", 1)[0].split("[", 1)[0]
    column = next((c for c in plan.columns.columns if c.name == field), None)
    code = "field_missing" if "required" in sentence else "field_not_allowed"
    return Failure(
        "validation",
        code,
        f"{plan.rule.command}{'.' + path if path else ''}: {sentence}.",
        "Send the value, or correct the field's expression in the provider file.",
        place=str(column.place if column else plan.place),
        path=payload_path(plan, element.index, column.expression if column else ""),
        rule=plan.name,
        element=element.index[0],
        facts={"field": path},
    )


def verdict_of(commands: list[Command], failures: Iterable[Failure], parked: bool) -> Verdict:
    """What the elements' results come to together."""
    failing = [failure for failure in failures if not failure.warning]
    if parked:
        return "parked"
    if not failing:
        return "accepted" if commands else "parked"
    if commands:
        return "partial"
    return "failed" if any(failure.cls == "processing" for failure in failing) else "rejected"


def outcome_of(draft: Draft, ids: Ids, provider: str, revision: int, claim: str, delivery: str) -> Outcome:
    """The outcome of a draft; `nothing_emitted` is the caller's to explain."""
    finisher = Finisher(draft, ids, provider, revision, claim, delivery)
    commands = [] if draft.refused else finisher.commands()
    verdict = "rejected" if draft.refused else verdict_of(commands, finisher.failures, finisher.parked)
    if verdict not in ("accepted", "partial"):
        commands = []
    return Outcome(
        verdict,
        tuple(commands),
        tuple(finisher.failures),
        finisher.new_mappings(commands),
        entities=tuple(dict.fromkeys(command.entity for command in commands)),
        merchant_id=ids.merchant,
        store_id=finisher.store_of_scope(),
    )
