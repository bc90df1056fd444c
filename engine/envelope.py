"""CloudEvents 1.0 envelopes of commands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson


class Envelope:
    """CloudEvents 1.0 envelopes in JSON, spliced round data that is dumped once."""

    def __init__(
        self, tenant: str, provider: str, feed: str, revision: int, delivery: str, received_at: datetime
    ) -> None:
        self._received = received_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._shared = orjson.dumps(
            {
                "source": f"/tenants/{tenant}/providers/{provider}/feeds/{feed}",
                "datacontenttype": "application/json",
                "tenant": tenant,
                "deliveryid": delivery,
                "specrevision": revision,
            }
        )[1:-1]
        self._heads: dict[str, bytes] = {}

    def event(
        self, name: str, command_id: str, commandkey: str, subject: str, kafka_key: str, time: Any, data: bytes
    ) -> bytes:
        head = self._heads.get(name)
        if head is None:
            head = self._heads[name] = self._head(name)
        tail = orjson.dumps({"id": command_id, "commandkey": commandkey, "subject": subject,
                             "partitionkey": kafka_key, "time": time or self._received})  # fmt: skip
        return b"".join((head, tail[1:-1], b',"data":', data, b"}"))

    def _head(self, name: str) -> bytes:
        typed = orjson.dumps(
            {
                "specversion": "1.0",
                "type": f"tiffin.{name}.v1",
                "dataschema": f"https://tiffin.dev/schemas/commands/{name}.v1.schema.json",
            }
        )[:-1]
        return b"".join((typed, b",", self._shared, b","))
