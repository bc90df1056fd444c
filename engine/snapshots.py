"""Snapshots: what a payload that is meant to be whole says of who is there, so that the absent can be retired.

Present is every element of the rule's `each`, also one that `when`, a check or a mapping rejects. What was
there before is known to the store alone, so the Retire commands are made at the commit, by `engine.presences`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.canon import Canon
from engine.evaluation import Index, RulesProgram
from engine.jsonata import EngineName
from engine.model import Constant, Expression, Rule
from engine.plans import Column, RulePlan
from engine.presences import Sighting
from engine.reading import Reading, ValuesProgram, as_text
from engine.unreadable import Unreadable

_ITEMS = frozenset({"UpsertMenuItem", "UpsertCatalogItem"})


class SnapshotProgram:
    """The identities of the elements of rules that look after who is there, whatever else becomes of them."""

    def __init__(
        self, lets: Mapping[str, Expression], rules: Mapping[str, Rule], canon: Canon, engine: EngineName
    ) -> None:
        self._canon = canon
        stripped = _stripped(rules, canon)
        self._program = RulesProgram(lets, stripped, engine)
        self._watched = dict(watched(rules))
        whens = {
            name: rule.snapshot.when for name, rule in self._watched.items() if rule.snapshot and rule.snapshot.when
        }
        self._names = {name: f"s{n}" for n, name in enumerate(whens)}
        values = {self._names[name]: when for name, when in whens.items() if when is not None}
        self._whens = ValuesProgram(lets, values, engine) if values else None

    def read(self, reading: Reading, plans: tuple[RulePlan, ...]) -> dict[str, Sighting]:
        """Raises Refusal where `when` fails, JsonataError where a limit is spent."""
        said = self._whens.evaluate(reading.document, reading.request, reading.connection) if self._whens else {}
        bindings = reading.bindings if self._program.binds else None
        evaluated = self._program.evaluate(reading.document, bindings, len(reading.request.body))
        bad = {one.rule for one in evaluated.bad}
        by_name = {plan.name: plan for plan in plans}
        rows = {
            name: [(row.position, _read(by_name[name], row.values)) for row in found]
            for name, found in evaluated.rows.items()
        }
        found = {}
        for name, rule in self._watched.items():
            snapshot = rule.snapshot
            wanted = snapshot is not None and (name not in self._names or said.get(self._names[name]) is True)
            whole = wanted and not bad & {name, None, *_outer(name)} and _all_there(rows[name])
            found[name] = self._sighting(name, rule, rows, whole, reading.scope.store)
        return found

    def _sighting(self, name: str, rule: Rule, rows: Mapping[str, list[_Named]], whole: bool, store: str) -> Sighting:
        assert rule.command is not None
        subject = self._canon.commands[rule.command].subject[0]
        within = rule.snapshot.within if rule.snapshot else "store"
        parents = _parents(name, rows, store) if within == "item" else {}
        scopes: dict[tuple[str, str], list[str]] = {scope: [] for scope in parents.values()}
        if within == "merchant" or (within == "store" and store):
            scopes["" if within == "merchant" else store, ""] = []
        for position, values in rows[name]:
            id, own_store = values.get(subject), values.get("store_id") or store
            scope = ("" if within == "merchant" else own_store, "")
            if within == "item":
                scope = parents.get(position[:-1]) or (own_store, values.get("item_id") or "")
            if id is None or (within == "item" and not scope[1]):
                whole = False
            else:
                scopes.setdefault(scope, []).append(id)
        return Sighting(whole, {scope: tuple(dict.fromkeys(ids)) for scope, ids in scopes.items()})


_Named = tuple[Index, dict[str, str | None]]


def watched(rules: Mapping[str, Rule], prefix: str = "") -> Iterable[tuple[str, Rule]]:
    """The rules, by full name, that look after who is there."""
    for name, rule in rules.items():
        if rule.command and (rule.snapshot is not None or rule.emit == "changed"):
            yield prefix + name, rule
        yield from watched(rule.commands, f"{prefix}{name}/")


def _stripped(rules: Mapping[str, Rule], canon: Canon) -> dict[str, Rule]:
    """The rules with nothing but what names their elements, as far as they or nested ones are watched."""
    found = {}
    for name, rule in rules.items():
        nested = _stripped(rule.commands, canon)
        own = rule.snapshot is not None or rule.emit == "changed"
        if not nested and not own:
            continue
        schema = canon.commands.get(rule.command or "")
        wanted = {*(schema.subject if schema else ()), "store_id", "item_id"}
        # A literal is the plan's to add; the program needs a field to be a rule with a command.
        fields = {n: spec for n, spec in rule.fields.items() if n in wanted and not isinstance(spec, Constant)}
        changes: dict[str, Any] = {"when": None, "check": {}, "version": None, "fields": fields, "commands": nested}
        found[name] = rule.model_copy(update=changes)
    return found


def _read(plan: RulePlan, values: Mapping[str, Any]) -> dict[str, str | None]:
    """The external ids of an element; None for one that cannot be read."""
    found: dict[str, str | None] = {name: str(value) for name, value in plan.columns.constants.items() if value}
    for column in plan.columns.columns:
        if column.name in values:
            found[column.name] = _id(column, values[column.name])
    return found


def _id(column: Column, value: Any) -> str | None:
    if value is None:
        return None
    try:
        return as_text(column.read(value) if column.read else value)
    except Unreadable:
        return None


def _all_there(rows: list[_Named]) -> bool:
    """Whether no element is missing between those that came: one that is no object has no id."""
    last: dict[Index, int] = {}
    for position, _ in rows:
        if position[-1] != last.get(position[:-1], -1) + 1:
            return False
        last[position[:-1]] = position[-1]
    return True


def _outer(name: str) -> set[str]:
    parts = name.split("/")
    return {"/".join(parts[:n]) for n in range(1, len(parts))}


def _parents(name: str, rows: Mapping[str, list[_Named]], store: str) -> dict[Index, tuple[str, str]]:
    """(external store, external item) of each element of the rule round this one, by position."""
    found = rows.get(name.rpartition("/")[0], ())
    return {position: (v.get("store_id") or store, item) for position, v in found if (item := v.get("item_id"))}
