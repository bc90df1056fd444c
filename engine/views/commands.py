"""Commands as the projection reads them off the bus."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

_PREFIX, _SUFFIX = "tiffin.", ".v1"


class Unprojectable(ValueError):
    """A message on the topic that is no canonical command; the text says why."""


class Received(NamedTuple):
    """One command off the bus. `name` is the canonical command's; `time` RFC 3339; `provider` from `source`."""

    id: str
    commandkey: str
    name: str
    tenant: str
    provider: str
    kafka_key: str
    time: str
    delivery: str
    data: Mapping[str, Any]


def read_command(value: bytes) -> Received:
    """A command from its CloudEvent in structured mode. Raises Unprojectable."""
    try:
        event = orjson.loads(value)
        kind, data = event["type"], event["data"]
        merchant = data["merchant_id"]
        read = Received(
            event["id"],
            event["commandkey"],
            kind.removeprefix(_PREFIX).removesuffix(_SUFFIX),
            event["tenant"],
            event["source"].split("/")[4],
            event["partitionkey"],
            event["time"],
            event["deliveryid"],
            data,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Unprojectable(f"not a command: {error!r}") from None
    texts = (*read[:8], merchant)
    if not all(isinstance(text, str) for text in texts) or not (read.id and read.commandkey and merchant):
        raise Unprojectable("not a command: an attribute that is text is missing")
    return read


def micros(text: Any) -> int | None:
    """Microseconds since 1970 of an RFC 3339 time in UTC; None where there is none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
