"""Invented provider files, run by the real interpreter: a request in, its trial out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import schemas
from engine import checker
from engine.interpreter import Interpreter
from engine.messages import Connection
from flows.golden import make_request
from flows.trial import Trial, try_request

HEAD = """\
spec: tiffin/v1
provider: corner
title: Corner Till
family: pos
revision: 1
evidence: official
auth: {scheme: token, header: X-Key, secret: key}
unmapped: {store: create, merchant: create}
"""
STOCK = """\
    idempotency: {event_id: [id]}
    commands:
      stock:
        command: UpdateStockLevel
        each: items
        fields: {item_id: sku, quantity: qty}
"""
AT = datetime(2026, 2, 3, 9, tzinfo=UTC)
KEY = "0123456789abcdef01234567"
CONNECTION = Connection(
    "con", "north", "corner", {"key": (KEY.encode(),), "proof": (b"a-proof-of-thirty-two-characters",)}
)


def interpreter(text: str) -> Interpreter:
    """Of the provider's head and what follows it."""
    return Interpreter(checker.load(HEAD + text, "corner.yaml", schemas.canon()), "", schemas.canon())


def tried(one: Interpreter, name: str, body: Any = b"", **options: Any) -> Trial:
    """A request to a feed or a handshake. A body that is no bytes is sent as JSON."""
    verify = options.pop("verify", False)
    connection = options.pop("connection", CONNECTION)
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
        options["headers"] = (("Content-Type", "application/json"), *options.get("headers", ()))
    request = make_request(one, name, body, received_at=AT, **options)
    return try_request(one, name, request, connection, {}, verify=verify, create=True)


def stock(id_: str = "e1", **quantities: str) -> dict[str, Any]:
    return {"id": id_, "items": [{"sku": sku, "qty": qty} for sku, qty in (quantities or {"a": "5"}).items()]}


def found(trial: Trial) -> list[dict[str, Any]]:
    """The data of its commands."""
    return [dict(command.data) for command in trial.outcome.commands]
