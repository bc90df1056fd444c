"""Bodies too large for a row go to object storage before their delivery is acknowledged.

With the object store away the body stands in the row, as small ones do: nothing is refused for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from flows.logging import logger
from stores.objects import Objects, ObjectsAway
from stores.payloads import body_key, object_place
from stores.records import RawDelivery

SECONDS = 2.0
"""How long a webhook waits for the object store."""
PAUSE = timedelta(seconds=30)
"""How long it is left alone after a failure."""

_log = logger("tiffin.objects")


class LargeBodies:
    """Puts the large bodies of one process away. `most` is the largest body in bytes that a row holds."""

    def __init__(self, objects: Objects, most: int, clock: Callable[[], datetime]) -> None:
        self.objects = objects
        self._most, self._clock = most, clock
        self._away_until: datetime | None = None

    def is_large(self, raw: RawDelivery) -> bool:
        return len(raw.body) > self._most

    async def stored(self, raw: RawDelivery) -> RawDelivery:
        """The delivery whose row holds the object's key instead of the body; itself with the store away."""
        if self._away_until is not None and self._clock() < self._away_until:
            return raw
        key = body_key(raw.id, raw.received_at)
        try:
            async with asyncio.timeout(SECONDS):
                place = await asyncio.to_thread(self._put, key, raw.body)
        except (ObjectsAway, TimeoutError) as error:
            self._away_until = self._clock() + PAUSE
            _log.warning("object_store_away", reason=str(error) or "it took too long")
            return raw
        if self._away_until is not None:
            self._away_until = None
            _log.info("object_store_back")
        return raw._replace(body=b"", place=place)

    def _put(self, key: str, body: bytes) -> str:
        self.objects.put(key, body)
        return object_place(key, body)
