"""One request through an interpreter without a store: what `provider try` shows and golden cases pin."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import orjson

from engine.failures import Failure, Refusal, Unauthorized
from engine.handshakes import refusal_reply
from engine.interpreter import Interpreter
from engine.messages import Command, Connection, Outcome, Ref, Reply, Request
from engine.questions import not_known
from engine.reading import Reading
from flows.urls import urls_of

DELIVERY = "0" * 32


@dataclass(frozen=True)
class Trial:
    """What a request came to. `stages` are milliseconds by stage; `handshake` names the one that it was, and
    `shown` is what an operator would see of it."""

    verdict: str
    feed: str
    reading: Reading | None
    outcome: Outcome
    reply: Reply
    stages: Mapping[str, float]
    handshake: str = ""
    shown: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The fixed shape of `tiffin provider try --json`, to which a handshake adds its name and what it shows."""
        key = self.reading.key if self.reading else None
        added = {"handshake": self.handshake, "shown": dict(self.shown)} if self.handshake else {}
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
                "body": body_of(self.reply),
            },
            **added,
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


def body_of(reply: Reply) -> Any:
    """The body as people read it: JSON's value, else text; None where there is none."""
    try:
        return orjson.loads(reply.body) if reply.body else None
    except orjson.JSONDecodeError:
        return reply.body.decode("utf-8", "replace")


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
    views: Mapping[str, Any] | None = None,
) -> Trial:
    """Every stage of a delivery but the storing; or a handshake or a login, where the request is one. `feed` names
    any of them.

    `create` maps what the provider file would reject, under its external id; `accepted` holds the keys of
    messages that count as done before; `views` is what a question finds, by its name under `$view`.
    """
    shaken = _shaken(interpreter, feed, request, connection, verify)
    if shaken is not None:
        return shaken
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
        asked = verdict == "answered"
        reply = interpreter.reply(
            feed, "accepted" if asked else verdict, asked=(request, connection), reading=reading, outcome=outcome,
            failure=failure, receipt=receipt, urls=lambda: urls_of(interpreter, public_url(request), connection.id),
            views=(views or {}) if asked else None,
        )  # fmt: skip
        passed("reply")
        return Trial(verdict, feed, reading, outcome, reply, stages)

    try:
        if verify:
            interpreter.verify(feed, request, connection)
            passed("verify")
        if (token := interpreter.issue(feed, request, connection)) is not None:
            urls = urls_of(interpreter, public_url(request), connection.id)
            reply = interpreter.reply(feed, "accepted", issued=token, urls=lambda: urls)
            return Trial("issued", feed, None, Outcome("accepted"), reply, stages)
        reading = interpreter.read(feed, request, connection)
        passed("read")
        if interpreter.asks(feed):
            refs = [question.ref for question in interpreter.questions(reading)]
            if unknown := [ref for ref in refs if ref is not None and _resolve(ref, mappings, create) is None]:
                raise Refusal(not_known(unknown[0].external_id))
            return told("answered", Outcome("accepted"))
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


def public_url(request: Request) -> str:
    """The server's own URL, with which a request's URL begins. A trial's has no path of its own."""
    parts = urlsplit(request.url)
    return f"{parts.scheme}://{parts.netloc}"


def _shaken(
    interpreter: Interpreter, name: str, request: Request, connection: Connection, verify: bool
) -> Trial | None:
    """What a handshake comes to; None where the request goes to a feed and is none."""
    is_feed = name in interpreter.feeds
    names = interpreter.handshakes_at(request.method, interpreter.feeds[name].path) if is_feed else (name,)
    met = interpreter.handshakes.met(names, request)
    if met is None:
        return None if is_feed else _no_handshake(interpreter, name)
    one = interpreter.handshakes.by_name[met]
    feed = name if is_feed else ""
    outcome = Outcome("ignored")
    try:
        if verify:
            if one.handshake.auth == "none":
                interpreter.admit(request, connection)
            else:
                interpreter.verify(met, request, connection)
        urls = urls_of(interpreter, public_url(request), connection.id)
        reply, shown = one.shake(request, connection, urls)
        return Trial("handshake", feed, None, outcome, reply, {}, met, shown)
    except Unauthorized as refusal:
        failure = refusal.failure
        reply = interpreter.reply(feed, "unauthorized", failure=failure)
        return Trial("unauthorized", feed, None, Outcome("unauthorized", failures=(failure,)), reply, {}, met)
    except Refusal as refusal:
        reply = refusal_reply(refusal.failure)
        return Trial("rejected", feed, None, Outcome("rejected", failures=(refusal.failure,)), reply, {}, met)


def _no_handshake(interpreter: Interpreter, name: str) -> Trial:
    failure = Failure(
        "validation",
        "handshake_not_met",
        "The request is not this handshake: its method, Content-Type, body or `when` differ.",
        "Compare it with the handshake in the provider file.",
        place=str(interpreter.handshakes.by_name[name].handshake.when.scalar.start),
    )
    return Trial("rejected", "", None, Outcome("rejected", failures=(failure,)), refusal_reply(failure), {}, name)
