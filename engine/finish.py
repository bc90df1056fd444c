"""From a draft and resolved ids to an outcome: canonical ids in, schemas checked, envelopes written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import orjson

from engine.drafting import Draft, Element, PassedOver, order_text, payload_path
from engine.envelope import Envelope
from engine.failures import Failure
from engine.keys import CommandKeys, RuleKeys, Seen, canonical_id
from engine.messages import Command, EntityVersion, NewMapping, Outcome, Ref, Verdict
from engine.plans import Column, RulePlan, Values
from engine.presences import Member, Presence, member_of, scope_key
from engine.tuples import maker

Policy = Literal["reject", "create", "park"]


class Ids(NamedTuple):
    """External ids made canonical. `created` maps a new canonical id to what it stands for."""

    known: Mapping[tuple[str, str, str], str]
    created: Mapping[str, Ref]
    merchant: str
    allowed_stores: frozenset[str]
    policies: Mapping[str, Policy]


_as_ids = maker(Ids)


def make_ids(draft: Draft, resolved: Mapping[Ref, str], provider: str, policies: Mapping[str, Policy]) -> Ids:
    """Canonical ids of everything a draft mentions; an id that must not be created is left out."""
    connection = draft.reading.connection
    default_merchant = connection.merchant or connection.tenant
    known: dict[tuple[str, str, str], str] = dict(resolved.items())
    created: dict[str, Ref] = {}
    for ref in draft.refs.difference(resolved):
        if ref.kind == "merchant" and policies["merchant"] == "reject":
            known[ref] = default_merchant
        elif policies[ref.kind] == "create":
            made = canonical_id(connection.tenant, provider, *ref)
            known[ref] = made
            created[made] = ref
    scope = draft.reading.scope
    merchant = known.get(("merchant", "", scope.merchant), default_merchant) if scope.merchant else default_merchant
    return _as_ids((known, created, merchant, frozenset(connection.stores), policies))


_FACETS = ("switch", "channel", "condition", "batch")
"""Fields that say of which part of an entity a command tells: parts are ordered each by themselves."""


def _ordered(name: str, store: str | None, subject: str, values: Values) -> str:
    """What the versions of a command put in order."""
    facets = [f"/{field}={values[field]}" for field in _FACETS if values.get(field)]
    return f"{name}/{store or ''}/{subject}{''.join(facets)}"


Ready = tuple[Element, tuple[str, ...]]
"""An element with its external ids in the order of the plan's `ids`."""


_as_command, _as_outcome = maker(Command), maker(Outcome)


def _first(pair: tuple[tuple[int, ...], Any]) -> tuple[int, ...]:
    return pair[0]


class Finisher:
    """Turns the elements of one draft into commands."""

    def __init__(
        self, draft: Draft, ids: Ids, provider: str, revision: int, claim: str, delivery: str, seen: Seen | None = None
    ) -> None:
        reading = draft.reading
        self._draft, self._ids = draft, ids
        self._tenant = reading.connection.tenant
        self._keys = CommandKeys(self._tenant, provider, claim, *(() if seen is None else (seen,)))
        received = reading.request.received_text
        self._envelope = Envelope(self._tenant, provider, reading.feed, revision, delivery, received)
        self.failures: list[Failure] = list(draft.failures)
        self.parked = False
        self._rejected = set(draft.rejected)
        self._owner = (self._tenant, provider, reading.feed, revision, delivery, claim)
        self._received = received
        self._members: dict[str, list[tuple[tuple[str, str], Member, str]]] = {}
        # Most connections speak for themselves alone: then there is nothing to look at element by element.
        self._bounded = bool(ids.allowed_stores or reading.connection.merchant)

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

    def _rule(self, plan: RulePlan, elements: list[Element]) -> list[Command]:
        if self._rejected:
            elements = [element for element in elements if not self._rejects(plan.name, element)]
        named = self._identified_alike(plan, elements) if plan.plain and not self._bounded else None
        if named is None:
            names = [identity.name for identity in plan.ids]
            named = [(one, tuple([one.values.get(name) or "" for name in names])) for one in elements]
            ready = self._validated(plan, self._identified(plan, named))
        else:
            ready = self._validated(plan, named)
        passed = self._draft.passed_over.get(plan.name, [])
        if passed or len(ready) < len(elements):
            return self._written_among(plan, ready, named, passed)
        return self._written(plan, ready, self._keys.of_rule(plan.name))

    def _written_among(
        self, plan: RulePlan, ready: list[Ready], elements: list[Ready], passed: list[PassedOver]
    ) -> list[Command]:
        """Commands of the good elements; the bad ones between them count where one entity stands twice."""
        keys = self._keys.of_rule(plan.name)
        good = {element.position: (element, external) for element, external in ready}
        others = [PassedOver(e.position, e.store, external) for e, external in elements if e.position not in good]
        made: list[Command] = []
        for index, bad in sorted(
            [*((i, None) for i in good), *((p.position, p) for p in (*others, *passed))], key=_first
        ):
            if bad is None:
                made += self._written(plan, [good[index]], keys)
            else:
                keys.pass_over(bad.store, bad.ids)
        return made

    def _identified_alike(self, plan: RulePlan, elements: list[Element]) -> list[Ready] | None:
        """As `_identified` for a plain plan, whose elements differ in one id; None, and nothing done, where an id is
        not known."""
        ((name, kind, within, _),) = plan.ids
        known, store = self._ids.known, self._draft.reading.scope.store
        space = store if within else ""
        external = [values.get(name) or "" for _, values, _, _ in elements]
        canonical = [known.get((kind, space, one)) for one in external]
        if None in canonical:
            return None
        added = {"merchant_id": self._ids.merchant}
        if store and plan.lacks_store:
            added["store_id"] = known["store", "", store]
        for (_, values, _, _), one in zip(elements, canonical, strict=True):
            values[name] = one
            values.update(added)
        return [(element, (one,)) for element, one in zip(elements, external, strict=True)]

    def _identified(self, plan: RulePlan, named: list[Ready]) -> list[Ready]:
        """The elements with canonical ids in place, and merchant and store added; each with its external ids."""
        known, merchant = self._ids.known, self._ids.merchant
        simple = not plan.id_lists and not plan.holders
        per_store: set[str] = set() if simple else {ref.kind for ref in self._draft.refs if ref.within}
        ready: list[Ready] = []
        for element, external in named:
            _, values, store, version = element
            missing = [] if simple else _insert_many(plan, values, store, per_store, known)
            for (name, kind, within, column), one in zip(plan.ids, external, strict=True):
                if not one:
                    values.pop(name, None)
                elif (canonical := known.get((kind, store if within else "", one))) is None:
                    missing.append((column, Ref(kind, store if within else "", one)))
                else:
                    values[name] = canonical
            if missing:
                for column, ref in missing:
                    self._reject(plan, element, self._unmapped(ref, plan, element, column))
                continue
            if plan.lacks_merchant or "merchant_id" not in values:
                values["merchant_id"] = merchant
            if store and (plan.lacks_store or (plan.names_store and "store_id" not in values)):
                values["store_id"] = known["store", "", store]
            if version is not None:
                _add_version(plan, values, *version)
            if not self._bounded or self._allowed(plan, element):
                ready.append((element, external))
        return ready

    def _rejects(self, rule: str, element: Element) -> bool:
        if not self._rejected:
            return False
        names = rule.split("/")
        return any(("/".join(names[:n]), element.position[:n]) in self._rejected for n in range(1, len(names) + 1))

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

    def _validated(self, plan: RulePlan, ready: list[Ready]) -> list[Ready]:
        schema = plan.schema
        assert schema is not None
        if not ready or schema.valid_many([values for (_, values, _, _), _ in ready]):
            return ready
        good = []
        for element, external in ready:
            if schema.valid(element.values):
                good.append((element, external))
                continue
            for path, sentence in schema.explain(element.values):
                self._reject(plan, element, _invalid(plan, element, path, sentence))
        return good

    def _written(self, plan: RulePlan, ready: list[Ready], keys: RuleKeys) -> list[Command]:
        if not ready:
            return []
        assert plan.schema is not None
        name, subjects, rule, tenant = plan.schema.name, plan.schema.subject, plan.name, self._tenant
        next_key, event, dumps = keys.next, self._envelope.event, orjson.dumps
        head = self._envelope.head(name)
        made = []
        for (index, values, external_store, version), external in ready:
            store = values.get("store_id")
            owner = store or values["merchant_id"]
            subject = owner
            for field in subjects:
                if field in values:
                    subject = values[field]
                    break
            data = dumps(values)
            commandkey, command_id = next_key(external_store, external, data)
            kafka_key = f"{tenant}/{owner}"
            wrapped = event(head, command_id, commandkey, subject, kafka_key, values.get("source_time"), data)
            ordered = EntityVersion(_ordered(name, store, subject, values), *version) if version else None
            made.append(
                _as_command(
                    (command_id, commandkey, name, rule, subject, kafka_key, values, wrapped, index[0], ordered)
                )
            )
        if rule in self._draft.sightings:
            self._keep_members(plan, made, ready)
        return made

    def _keep_members(self, plan: RulePlan, made: list[Command], ready: list[Ready]) -> None:
        """Notes who the commands tell of, by scope."""
        assert plan.schema is not None
        subject, within = plan.schema.subject[0], _within(plan)
        named = [identity.name for identity in plan.ids]
        kept = self._members.setdefault(plan.name, [])
        for command, (element, external) in zip(made, ready, strict=True):
            ids = dict(zip(named, external, strict=True))
            item = ids.get("item_id", "") if within == "item" else ""
            scope = ("" if within == "merchant" else element.store, item)
            time = command.data.get("source_time")
            version = element.version[0] if element.version else order_text("timestamp", time) if time else ""
            kept.append((scope, member_of(command, ids[subject], subject), version))

    def presences(self, commands: list[Command]) -> tuple[Presence, ...]:
        """Who is there, in every scope that the connection may speak for."""
        found = []
        for plan in self._draft.plans:
            if (sighting := self._draft.sightings.get(plan.name)) is None:
                continue
            kept = self._members.get(plan.name, [])
            own = tuple([c.id for c in commands if c.rule == plan.name or c.rule.startswith(f"{plan.name}/")])
            order = max((version for _, _, version in kept), default="")
            snapshot = plan.rule.snapshot
            for scope, present in sighting.scopes.items():
                if not self._may_speak(scope[0]):
                    continue
                members = tuple([member for at, member, _ in kept if at == scope])
                found.append(
                    Presence(
                        plan.name,
                        scope_key(self._owner[2], plan.name, _within(plan), self._ids.merchant, scope),
                        scope[0],
                        sighting.whole,
                        order,
                        self._received,
                        snapshot.guard if snapshot else 100,
                        plan.rule.emit == "changed",
                        present,
                        members,
                        own,
                        self._owner,
                    )
                )
        return tuple(found)

    def _may_speak(self, store: str) -> bool:
        """Whether a scope's store is known and the connection's: nobody else's entities are retired."""
        if not store:
            return True
        canonical = self._ids.known.get(("store", "", store))
        return canonical is not None and (not self._ids.allowed_stores or canonical in self._ids.allowed_stores)

    def _reject(self, plan: RulePlan, element: Element, failure: Failure) -> None:
        self.failures.append(failure)
        self._rejected.add((plan.name, element.position))

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
            path=payload_path(plan, element.position, column.expression) if plan and element and column else "",
            rule=plan.name if plan else "",
            element=element.position[0] if element else None,
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


def _within(plan: RulePlan) -> str:
    return plan.rule.snapshot.within if plan.rule.snapshot else "store"


Missing = list[tuple[Column, Ref]]
Known = Mapping[tuple[str, str, str], str]


def _insert_many(plan: RulePlan, values: Values, store: str, per_store: set[str], known: Known) -> Missing:
    """Puts canonical ids into lists of ids and into nested objects; returns what is not known."""
    missing: Missing = []
    for identity in plan.id_lists:
        _insert_list(identity.column, values, store if identity.per_store else "", known, missing)
    for column in plan.holders:
        _insert_nested(column, values, store, per_store, known, missing)
    return missing


def _insert_list(column: Column, values: Values, within: str, known: Known, missing: Missing) -> None:
    external = values.get(column.name)
    if external is None:
        return
    assert column.identity is not None
    found = [known.get((column.identity, within, one)) for one in external]
    if None in found:
        missing.append((column, Ref(column.identity, within, external[found.index(None)])))
    else:
        values[column.name] = found


def _insert_nested(
    column: Column, values: Values, store: str, per_store: set[str], known: Known, missing: Missing
) -> None:
    assert column.inner is not None
    for inner in values.get(column.name) or ():
        if inner.__class__ is not dict:
            continue
        for one in column.inner.columns:
            if one.inner:
                _insert_nested(one, inner, store, per_store, known, missing)
            elif one.identity and one.is_list:
                _insert_list(one, inner, store if one.identity in per_store else "", known, missing)
            elif one.identity and (external := inner.get(one.name)) is not None:
                within = store if one.identity in per_store else ""
                if (canonical := known.get((one.identity, within, external))) is None:
                    missing.append((one, Ref(one.identity, within, external)))
                else:
                    inner[one.name] = canonical


def _add_version(plan: RulePlan, values: Values, order: str, source: str) -> None:
    values.setdefault("source_version", source)
    if plan.version is not None and plan.version.as_ == "timestamp":
        values.setdefault("source_time", _plain_time(order))


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
        element=element.position[0] if element else None,
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
        path=payload_path(plan, element.position, column.expression if column else ""),
        rule=plan.name,
        element=element.position[0],
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


def outcome_of(
    draft: Draft, ids: Ids, provider: str, revision: int, claim: str, delivery: str, seen: Seen | None = None
) -> Outcome:
    """The outcome of a draft; `nothing_emitted` is the caller's to explain."""
    finisher = Finisher(draft, ids, provider, revision, claim, delivery, seen)
    commands = [] if draft.refused else finisher.commands()
    verdict = "rejected" if draft.refused else verdict_of(commands, finisher.failures, finisher.parked)
    if verdict not in ("accepted", "partial"):
        commands = []
    return _as_outcome(
        (
            verdict,
            tuple(commands),
            tuple(finisher.failures),
            finisher.new_mappings(commands),
            (),
            tuple(dict.fromkeys([command.entity for command in commands])),
            ids.merchant,
            finisher.store_of_scope(),
            finisher.presences(commands) if _speaks(draft, verdict, finisher.failures) else (),
        )
    )


def _speaks(draft: Draft, verdict: Verdict, failures: list[Failure]) -> bool:
    """Whether the payload may say who is there: something came of it, or nothing is wrong with it."""
    return bool(draft.sightings) and (verdict in ("accepted", "partial") or (verdict == "parked" and not failures))
