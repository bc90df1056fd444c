"""Reads the golden cases and runs them through the interpreter, without a store (see README.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from engine.failures import Failure, Refusal, Unauthorized
from engine.interpreter import Interpreter
from engine.jsonata import EngineName
from engine.messages import Connection, Outcome, Ref, Reply, Request
from engine.reading import Reading
from engine.signing import sign
from engine.yaml12 import compose
from flows.providers import load_provider
from schemas import canon

GOLDEN = Path(__file__).parent
PROVIDERS = GOLDEN.parents[1] / "providers"
RECEIVED_AT = "2026-02-03T09:00:00Z"
DELIVERY = "0" * 31


@dataclass(frozen=True)
class Case:
    """One delivery of a folder, ready to send. `again` is how often it is sent once more."""

    name: str
    provider: str
    feed: str
    request: Request
    connection: Connection
    mappings: Mapping[Ref, str]
    again: int
    signs: bool

    def __str__(self) -> str:
        return self.name

    def signed(self, interpreter: Interpreter) -> Request:
        """The request with what the provider's auth asks for."""
        if not self.signs:
            return self.request
        made = sign(interpreter.provider.auth, self.request, self.connection.secrets)
        added = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in made)
        return replace(self.request, headers=self.request.headers + added)


@dataclass(frozen=True)
class Told:
    """What one sending of a case came to."""

    verdict: str
    reading: Reading | None
    outcome: Outcome
    reply: Reply


@cache
def interpreter_of(provider: str, engine: EngineName = "jlens") -> Interpreter:
    return load_provider(PROVIDERS / f"{provider}.yaml", canon(), engine).interpreter


def cases() -> list[Case]:
    return list(_cases())


def _cases() -> Iterator[Case]:
    for file in sorted(GOLDEN.glob("*/*/*/request.yaml")):
        folder = file.parent
        feed, provider = folder.parent.name, folder.parent.parent.name
        said = _yaml(file)
        own = folder / "context.yaml"
        context = _yaml(own if own.exists() else GOLDEN / provider / "context.yaml")
        yield Case(
            f"{provider}-{feed}-{folder.name}",
            provider,
            feed,
            _request(provider, feed, said, next(folder.glob("body.*")).read_bytes()),
            _connection(provider, context["connection"]),
            {
                Ref(m["kind"], m.get("within", ""), m["external_id"]): m["canonical_id"]
                for m in context["mappings"]
            },
            int(said.get("again", 0)),
            said.get("sign", True),
        )


def _yaml(file: Path) -> dict[str, Any]:
    """The file's data with plain text in place of scalars that know their places."""
    read: dict[str, Any] = json.loads(json.dumps(compose(file.read_text(), str(file)).data))
    return read


def _request(provider: str, feed: str, said: Mapping[str, Any], body: bytes) -> Request:
    interpreter = interpreter_of(provider)
    family, tail = interpreter.provider.family, interpreter.feeds[feed].path
    path = f"/v1/integrations/{family}/{provider}/webhooks/{tail}"
    return Request(
        said.get("method", "POST"),
        f"https://tiffin.example{path}",
        path,
        tuple(said.get("query", {}).items()),
        tuple((name.lower().encode(), value.encode("latin-1")) for name, value in said["headers"].items()),
        body,
        "203.0.113.7",
        datetime.fromisoformat(said.get("received_at", RECEIVED_AT)).astimezone(UTC),
    )


def _connection(provider: str, said: Mapping[str, Any]) -> Connection:
    lists = {name: tuple(said.get(name, ())) for name in ("keys", "stores", "allow")}
    texts = {name: said.get(name) for name in ("time_zone", "currency")}
    secrets = {name: (value.encode(),) for name, value in said["secrets"].items()}
    return Connection(
        said["id"], said["tenant"], provider, secrets, merchant=said.get("merchant", ""), **lists, **texts
    )


def run(case: Case, engine: EngineName = "jlens") -> list[Told]:
    """Every sending of a case, in order. A key that was accepted once makes the later ones duplicates."""
    interpreter = interpreter_of(case.provider, engine)
    accepted: set[str] = set()
    return [_send(case, interpreter, f"{DELIVERY}{n}", accepted) for n in range(case.again + 1)]


def _send(case: Case, interpreter: Interpreter, delivery: str, accepted: set[str]) -> Told:
    request, reading = case.signed(interpreter), None
    try:
        interpreter.verify(request, case.connection)
    except Unauthorized as refusal:
        return _told(
            case, interpreter, "unauthorized", None, Outcome("unauthorized", failures=(refusal.failure,))
        )
    try:
        reading = interpreter.read(case.feed, request, case.connection)
        if reading.key and reading.key.text in accepted:
            return _told(case, interpreter, "duplicate", reading, Outcome("duplicate"))
        draft = interpreter.draft(reading)
        resolved = {ref: case.mappings[ref] for ref in draft.refs if ref in case.mappings}
        outcome = interpreter.finish(draft, resolved, delivery)
    except Refusal as refusal:
        outcome = interpreter.refused(refusal.failure)
    if reading and reading.key and outcome.verdict == "accepted":
        accepted.add(reading.key.text)
    return _told(case, interpreter, outcome.verdict, reading, outcome)


def _told(
    case: Case, interpreter: Interpreter, verdict: str, reading: Reading | None, outcome: Outcome
) -> Told:
    failure: Failure | None = outcome.failures[0] if verdict == "unauthorized" else None
    receipt = {
        "verdict": verdict,
        "commands": len(outcome.commands),
        "failures": [f.code for f in outcome.failures],
    }
    reply = interpreter.reply(
        case.feed,
        verdict,
        reading=reading,
        outcome=outcome,
        failure=failure,
        receipt={} if failure else receipt,
    )
    return Told(verdict, reading, outcome, reply)
