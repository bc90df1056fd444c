"""What receivers of alerts are told, and how it is signed.

Signatures are those of Standard Webhooks (https://www.standardwebhooks.com): base64 HMAC-SHA256 over
`id.timestamp.body`, keyed with the base64 behind `whsec_`. A message keeps its id whenever it is sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal
from urllib.parse import quote

import orjson

from flows.alerting.kinds import KINDS
from stores.alerts import Alert, Message

Type = Literal["alert.firing", "alert.reminder", "alert.resolved", "alert.test"]
_PLURALS: Final = {"percent": "%", "seconds": " s", "requests": ""}


def message(
    alert: Alert, type: Type, subject: str, value: int, above: int | None, since: datetime, at: datetime, desk: str
) -> Message:
    """A message that is due at once. `value` is in the kind's unit; `desk` is the desk's URL."""
    kind = KINDS[alert.kind]
    data = {
        "alert": alert.id, "kind": alert.kind, "subject": subject, "value": value, "above": above, "unit": kind.unit,
        "since": since.isoformat(), "provider": alert.provider, "connection": alert.connection,
        "message": sentence(alert, type, subject, value, above), "see": desk + _page(alert, subject),
    }  # fmt: skip
    body = orjson.dumps({"type": type, "timestamp": at.isoformat(), "data": data}).decode()
    return Message(f"msg_{secrets.token_hex(16)}", alert.id, at, type, subject, body, at)


def sentence(alert: Alert, type: Type, subject: str, value: int, above: int | None) -> str:
    """One line for a person."""
    kind = KINDS[alert.kind]
    unit = _PLURALS[kind.unit]
    of = f" of {subject}" if subject else ""
    if type == "alert.test":
        return f"A test of the alert {alert.kind}: {kind.says}{of}."
    if type == "alert.resolved":
        return f"Over: {kind.says}{of} is {value}{unit} now."
    again = "Still: " if type == "alert.reminder" else ""
    bound = f", above {above}{unit}" if above is not None else ""
    return f"{again}{kind.says}{of} is {value}{unit}{bound}."


def _page(alert: Alert, subject: str) -> str:
    if alert.kind == "silent_connection" and subject:
        return f"/desk/connections/{quote(subject, safe='')}"
    if alert.kind == "quarantine":
        return "/desk/deliveries?state=quarantined"
    return "/desk"


def headers(message_id: str, body: bytes, secret: str, at: datetime) -> Mapping[str, str]:
    """The headers of a message that is sent at a time."""
    stamp = str(int(at.timestamp()))
    key = b64decode(secret.removeprefix("whsec_"))
    signature = hmac.new(key, b".".join((message_id.encode(), stamp.encode(), body)), hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "User-Agent": "tiffin-alerts",
        "Webhook-Id": message_id,
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": f"v1,{b64encode(signature).decode()}",
    }
