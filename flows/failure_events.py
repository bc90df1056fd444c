"""Failures as CloudEvents 1.0 for the topic of failures.

The data is the failure record (schemas/failure.schema.json), the envelope schemas/failure-event.schema.json. An
event is made from its row alone, so that publishing it again gives the same id and the same content.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import orjson

from bus.messages import Message
from engine.failures import Failure, FailureClass
from stores.failure_sums import Sum
from stores.failures import StoredFailure
from stores.tables import micros

TYPE = "tiffin.Failure.v1"
_SCHEMA = "https://tiffin.dev/schemas/failure.schema.json"
_SAID = {
    "auth": (
        "{} of this connection's requests did not verify within one minute.",
        "See who sends them: tiffin delivery list --state quarantined. Mend the secret, or let them be.",
    ),
    "duplicate": (
        "{} of this connection's deliveries were sent before.",
        "Nothing need be done; a sender that repeats everything may not understand the replies.",
    ),
}


def failure_message(failure: StoredFailure) -> Message:
    """The event of one failure; its subject is the delivery."""
    return _message(
        ("failure", failure.id, micros(failure.at), failure.delivery, failure.attempt, failure.code),
        (failure.tenant, failure.provider, failure.connection, failure.feed),
        failure.at,
        failure.data,
        subject=failure.delivery,
        deliveryid=failure.delivery,
        attempt=failure.attempt,
    )


def sum_message(total: Sum) -> Message:
    """The event of a minute's sum. Its facts are `count`, `from` and `until` (RFC 3339)."""
    message, next_step = _SAID[total.cls]
    until = total.minute + timedelta(minutes=1)
    facts = {"count": total.times, "from": _text(total.minute), "until": _text(until)}
    cls: FailureClass = "auth" if total.cls == "auth" else "duplicate"
    return _message(
        ("sum", total.id, micros(total.minute), total.connection, total.feed, total.code),
        (total.tenant, total.provider, total.connection, total.feed),
        until,
        Failure(cls, total.code, message.format(total.times), next_step, facts=facts).to_json(),
    )


def _message(
    row: tuple[str | int, ...], owner: tuple[str, str, str, str], at: datetime, data: Any, **attributes: str | int
) -> Message:
    tenant, provider, connection, feed = owner
    id = hashlib.sha256(orjson.dumps(row)).hexdigest()[:32]
    key = tenant or provider
    # CloudEvents 1.0 has no empty attributes: a request that named no connection has no tenant.
    named = {"tenant": tenant, "connection": connection}
    event = {
        "specversion": "1.0",
        "id": id,
        "type": TYPE,
        "source": f"/tenants/{tenant}/providers/{provider}/feeds/{feed}",
        "time": _text(at),
        "datacontenttype": "application/json",
        "dataschema": _SCHEMA,
        "partitionkey": key,
        **{name: value for name, value in named.items() if value},
        **attributes,
        "data": data,
    }
    return Message(id, key.encode(), orjson.dumps(event))


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
