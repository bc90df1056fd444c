"""Load from outside: callers that send in order and send again what was not answered, as providers do."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from tests.flows.scenery import signed

ITEMS = 3
LARGE = 96 << 10
"""Bytes of the bodies that go to object storage at once."""
PER_CALLER = 1_000_000
_PATHS = ("/v1/integrations/pos/acme/webhooks/stock", "/v1/integrations/pos/acme/webhooks/slow")
_PAUSE_SECONDS = 0.05


async def comes_true(true: Callable[[], bool], seconds: float) -> bool:
    """Whether it comes true within the time; asked in a thread, since it may take a while."""
    try:
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(true):  # noqa: ASYNC110 what is waited for is another process's
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        return False
    return True


class Message(NamedTuple):
    """The `number`-th message of a caller: three items of its own, whose quantity no other message tells."""

    caller: int
    number: int

    @property
    def quantity(self) -> int:
        return self.caller * PER_CALLER + self.number

    @property
    def path(self) -> str:
        return _PATHS[self.caller % 2]

    @property
    def ordered(self) -> bool:
        """Whether the work was done when it was answered. What is answered earlier may be overtaken by the next."""
        return self.caller % 2 == 0

    @property
    def body(self) -> bytes:
        items = [{"sku": f"c{self.caller}-s{n}", "qty": self.quantity} for n in range(ITEMS)]
        document = {"event": f"c{self.caller}-e{self.number}", "store": "R-1", "items": items}
        if self.number % 50 == 0:
            document["note"] = "x" * LARGE
        return json.dumps(document).encode()


@dataclass
class Load:
    """What was sent and how it was answered. A caller's next message goes out once the one before was answered 2xx."""

    callers: int
    acknowledged: dict[Message, str] = field(default_factory=dict)
    """The delivery of each message that was answered 2xx."""
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    """Requests whose connection broke before the answer."""

    def __post_init__(self) -> None:
        self._next = [1] * self.callers
        self._ending = asyncio.Event()

    async def run(self, url: str) -> None:
        """Sends until `end` is called."""
        limits = httpx.Limits(max_connections=self.callers)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            await asyncio.gather(*(self._call(client, caller) for caller in range(self.callers)))

    def end(self) -> None:
        self._ending.set()

    async def answered(self, count: int = 200, seconds: float = 120.0) -> bool:
        """Whether so many more messages are answered 2xx within the time."""
        wanted = len(self.acknowledged) + count
        return await comes_true(lambda: len(self.acknowledged) >= wanted, seconds)

    async def _call(self, client: httpx.AsyncClient, caller: int) -> None:
        while not self._ending.is_set():
            message = Message(caller, self._next[caller])
            body = message.body
            try:
                reply = await client.post(message.path, content=body, headers=signed(body))
            except httpx.TransportError:
                self.broken += 1
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self.statuses[reply.status_code] += 1
            if reply.is_success:
                self.acknowledged[message] = reply.headers["tiffin-delivery"]
                self._next[caller] += 1
            else:
                await asyncio.sleep(_PAUSE_SECONDS)
