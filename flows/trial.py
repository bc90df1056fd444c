"""One request through an interpreter without a store: what `provider try` shows and golden cases pin."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import orjson

from engine.failures import Refusal, Unauthorized
from engine.interpreter import Interpreter
from engine.messages import Command, Connection, Outcome, Ref, Reply, Request
from engine.reading import Reading

DELIVERY = "0" * 32


@dataclass(frozen=True)
class Trial:
    """What a request came to. `stages` are milliseconds by stage."""

    verdict: str
    feed: str
    reading: Reading | None
    outcome: Outcome
    reply: Reply
    stages: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The fixed shape of `tiffin provider try --json`."""
        key = self.reading.key if self.reading else None
        return {
            "verdict": self.verdict,
            "feed": self.feed,
            "event": self.reading.event if self.reading else "",
            "idempotency_key": key.text if key else None,
            "commands": [command_json(command) for command in self.outcome.commands],
            "failures": [failure.to_json() for failure in self.outcome.failures],
            "reply": {
                "status": self.reply.status,
                "headers": dict(self.reply.headers),
                "body": _body(self.reply.body),
            },
        }


def command_json(command: Command) -> dict[str, Any]:
    """A command for people and programs: its CloudEvent with the rule that made it."""
    event: dict[str, Any] = orjson.loads(command.event)
    return {
        "command": command.name,
        "rule": command.rule,
        "entity": command.entity,
        "data": event["data"],
        "event": event,
    }


def _body(body: bytes) -> Any:
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")


def try_request(
    interpreter: Interpreter,
    feed: str,
    request: Request,
    connection: Connection,
    mappings: Mapping[Ref, str],
    *,
    verify: bool = True,
    create: bool = False,
    accepted: Collection[str] = (),
    delivery: str = DELIVERY,
) -> Trial:
    """Every stage of a delivery but the storing.

    `create` maps what the provider file would reject, under its external id; `accepted` holds the keys of
    messages that count as done before.
    """
    stages: dict[str, float] = {}
    reading: Reading | None = None
    started = perf_counter()

    def passed(stage: str) -> None:
        nonlocal started
        now = perf_counter()
        stages[stage] = round((now - started) * 1000, 3)
        started = now

    def told(verdict: str, outcome: Outcome) -> Trial:
        failure = outcome.failures[0] if verdict == "unauthorized" else None
        shown = {"id": delivery, "commands": len(outcome.commands), "failures": [f.to_json() for f in outcome.failures]}
        receipt = {} if failure else shown
        reply = interpreter.reply(feed, verdict, reading=reading, outcome=outcome, failure=failure, receipt=receipt)
        passed("reply")
        return Trial(verdict, feed, reading, outcome, reply, stages)

    try:
        if verify:
            interpreter.verify(feed, request, connection)
            passed("verify")
        reading = interpreter.read(feed, request, connection)
        passed("read")
        if reading.settled is not None:
            return told(reading.settled.verdict, reading.settled)
        if reading.key is not None and reading.key.text in accepted:
            return told("duplicate", Outcome("duplicate"))
        drafted = interpreter.draft(reading)
        passed("draft")
        resolved = {ref: found for ref in drafted.refs if (found := _resolve(ref, mappings, create)) is not None}
        outcome = interpreter.finish(drafted, resolved, delivery)
        passed("finish")
        return told(outcome.verdict, outcome)
    except Unauthorized as refusal:
        return told("unauthorized", Outcome("unauthorized", failures=(refusal.failure,)))
    except Refusal as refusal:
        outcome = interpreter.refused(refusal.failure)
        return told(outcome.verdict, outcome)


def _resolve(ref: Ref, mappings: Mapping[Ref, str], create: bool) -> str | None:
    """The store's own mapping, else the one for all stores; `create` takes stores as they are named."""
    found = mappings.get(ref) or mappings.get(ref._replace(within=""))
    return found or (ref.external_id if create and ref.kind == "store" else None)
