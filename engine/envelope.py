"""CloudEvents 1.0 envelopes of commands."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson


class Envelope:
    """CloudEvents 1.0 envelopes in JSON, spliced round data that is dumped once."""

    def __init__(self, tenant: str, provider: str, feed: str, revision: int, delivery: str, received_at: str) -> None:
        """`received_at` is RFC 3339 text: the time of commands whose source gives none."""
        self._owner = (tenant, provider, feed, revision)
        self._delivery = b',"deliveryid":' + orjson.dumps(delivery)
        self._received = received_at

    def head(self, name: str) -> bytes:
        """What the envelopes of one kind of command share."""
        return b"".join((_fixed(name, *self._owner), self._delivery, b","))

    def event(
        self, head: bytes, command_id: str, commandkey: str, subject: str, kafka_key: str, time: Any, data: bytes
    ) -> bytes:
        tail = orjson.dumps(
            {
                "id": command_id,
                "commandkey": commandkey,
                "subject": subject,
                "partitionkey": kafka_key,
                "time": time or self._received,
            }
        )
        return b"".join((head, tail[1:-1], b',"data":', data, b"}"))


@lru_cache(4096)
def _fixed(name: str, tenant: str, provider: str, feed: str, revision: int) -> bytes:
    """What all envelopes of a kind of command have in common, whatever the delivery."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "type": f"tiffin.{name}.v1",
            "dataschema": f"https://tiffin.dev/schemas/commands/{name}.v1.schema.json",
            "source": f"/tenants/{tenant}/providers/{provider}/feeds/{feed}",
            "datacontenttype": "application/json",
            "tenant": tenant,
            "specrevision": revision,
        }
    )[:-1]
