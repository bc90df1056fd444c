"""What is asked of a golden case beyond its snapshot: its variants, repeated and shuffled sendings, another clock.

A variant is judged without its signature, which is of other bytes. It must come to commands that pass their schemas
or to a classified failure, and to an answer that is no server error; a repetition to the same key and ids; a batch
the other way round to the same set of entities with their data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from engine.canon import Canon
from engine.interpreter import Interpreter
from engine.messages import Command
from flows.golden import Case
from flows.trial import Trial, try_request
from flows.variant_bodies import Tree, tree_of
from flows.variants import LIMIT

_AT_ONCE, _RETRY = timedelta(), timedelta(minutes=7)
ANOTHER_TIME = timedelta(days=33, hours=7, minutes=11)
_CLASSES = frozenset(("auth", "mapping", "validation", "processing", "duplicate"))
_NOTHING_DUE = frozenset(("ignored", "answered", "duplicate", "stale", "handshake", "issued"))


@dataclass(frozen=True)
class Fault:
    """What is wrong with a case or one of its variants, in a sentence. `body` is what was sent."""

    case: str
    variant: str
    says: str
    body: bytes

    def __str__(self) -> str:
        return f"{self.case} · {self.variant}: {self.says}"


@dataclass(frozen=True)
class Judged:
    """What came of a case: how many variants were tried, and what was wrong."""

    variants: int
    faults: tuple[Fault, ...]


def judge(interpreter: Interpreter, case: Case, canon: Canon, limit: int = LIMIT) -> Judged:
    """Tries a case's variants, its repetition and its shuffled batch. A case that is refused as unauthorized, and a
    body that cannot be read, have no variants."""
    tree = _tree(interpreter, case)
    faults = [*_repeated(interpreter, case)]
    if tree is None:
        return Judged(0, tuple(faults))
    made = tree.variants(limit)
    for variant in made:
        body = tree.encode(variant.document)
        faults += [Fault(case.name, str(variant), says, body) for says in _wrong(interpreter, case, body, canon)]
    return Judged(len(made), (*faults, *_shuffled(interpreter, case, tree)))


def _tree(interpreter: Interpreter, case: Case) -> Tree | None:
    compiled = interpreter.feeds.get(case.feed)
    if compiled is None or _tried(interpreter, case, case.request.body).verdict == "unauthorized":
        return None
    return tree_of(compiled.feed, case.request)


def _tried(interpreter: Interpreter, case: Case, body: bytes) -> Trial:
    context = case.context
    request = replace(case.request, body=body)
    return try_request(
        interpreter, case.feed, request, context.connection, context.mappings, verify=False, views=context.views
    )


def _wrong(interpreter: Interpreter, case: Case, body: bytes, canon: Canon) -> Iterator[str]:
    try:
        told = _tried(interpreter, case, body)
    except Exception as error:
        yield f"{type(error).__name__}: {error}"
        return
    if told.reply.status >= 500:
        yield f"the answer is {told.reply.status}"
    for command in told.outcome.commands:
        if wrong := canon.commands[command.name].explain(command.data):
            yield f"{command.name} does not pass its schema: {wrong[0][0]}: {wrong[0][1]}"
    if odd := [one.cls for one in told.outcome.failures if one.cls not in _CLASSES or not one.code]:
        yield f"a failure has the class {odd[0]!r}"
    if not (told.outcome.commands or told.outcome.failures or told.outcome.presences or told.verdict in _NOTHING_DUE):
        yield f"{told.verdict}, but there is neither a command nor a failure"


def _repeated(interpreter: Interpreter, case: Case) -> Iterator[Fault]:
    """The same bytes once more, at once and some minutes later, as senders retry."""
    first, second, retried = (
        _tried(interpreter, _moved(case, after), case.request.body) for after in (_AT_ONCE, _AT_ONCE, _RETRY)
    )
    if len({one.reading.key if one.reading else None for one in (first, second, retried)}) > 1:
        yield Fault(case.name, "sent twice", "the idempotency keys differ", case.request.body)
    if [one.id for one in first.outcome.commands] != [one.id for one in second.outcome.commands]:
        yield Fault(case.name, "sent twice", "the ids of the commands differ", case.request.body)
    keys = [[one.commandkey for one in told.outcome.commands] for told in (first, retried)]
    if first.verdict == retried.verdict and keys[0] != keys[1]:
        yield Fault(case.name, "sent twice", "the command keys of a retry differ", case.request.body)


def _moved(case: Case, after: timedelta) -> Case:
    return replace(case, request=replace(case.request, received_at=case.request.received_at + after))


def _shuffled(interpreter: Interpreter, case: Case, tree: Tree) -> Iterator[Fault]:
    turned = tree.shuffle(tree.value)
    if turned == tree.value:
        return
    body = tree.encode(turned)
    before, after = (_said(_tried(interpreter, case, one)) for one in (tree.encode(tree.value), body))
    if before != after:
        differs = sorted(before.symmetric_difference(after))[0]
        yield Fault(case.name, "shuffled", f"{differs[0]} has other data: {differs[1]}", body)


def _said(told: Trial) -> set[tuple[str, str]]:
    return {(f"{one.name} {one.entity}", json.dumps(_unordered(one.data), sort_keys=True))
            for one in told.outcome.commands}  # fmt: skip


def _unordered(value: Any) -> Any:
    """Lists within a command follow the order of the payload; here only what they hold counts."""
    if isinstance(value, dict):
        return {name: _unordered(one) for name, one in value.items()}
    if isinstance(value, list):
        return sorted((_unordered(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value


def outcome_of(interpreter: Interpreter, case: Case, *, later: bool = False) -> dict[str, Any]:
    """What a case comes to, in plain values, to be compared with another run of it; `later`: by another clock."""
    told = _tried(interpreter, _moved(case, ANOTHER_TIME if later else _AT_ONCE), case.request.body)
    key = told.reading.key if told.reading else None
    return {
        "verdict": told.verdict,
        "key": key.text if key else None,
        **{f"{one.name} {one.entity}{_nth(told.outcome.commands, n)}": _plain(one)
           for n, one in enumerate(told.outcome.commands)},
        **{f"failure {n}": f"{one.cls}/{one.code} {one.path} {one.message}"
           for n, one in enumerate(told.outcome.failures)},
        "reply": [told.reply.status, told.reply.body.decode("utf-8", "replace")],
    }  # fmt: skip


def _nth(commands: tuple[Command, ...], n: int) -> str:
    same = sum((one.name, one.entity) == (commands[n].name, commands[n].entity) for one in commands[:n])
    return f" ({same + 1})" if same else ""


def _plain(command: Command) -> dict[str, Any]:
    return {"id": command.id, "data": json.loads(json.dumps(command.data))}


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What two outcomes say differently, by its name and the field."""
    return [
        f"{name}: {_short(was)} → {_short(now)}"
        for name in dict.fromkeys((*before, *after))
        for was, now in _fields(before.get(name), after.get(name))
    ]


def _fields(was: Any, now: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(was, dict) and isinstance(now, dict):
        old, new = {**was.get("data", {}), "id": was.get("id")}, {**now.get("data", {}), "id": now.get("id")}
        for name in dict.fromkeys((*old, *new)):
            if old.get(name) != new.get(name):
                yield {name: old.get(name)}, {name: new.get(name)}
    elif was != now:
        yield was, now


def _short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) < 100 else f"{shown[:100]}…"
