"""Sends what alerts have to tell, again and again where it is not taken, until it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from flows.alerting.telling import headers
from stores.alerts import Message

RETRIES: Final = tuple(timedelta(seconds=one) for one in (15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600))
"""The pauses before a message is tried again; after the last of them it is given up."""
AT_ONCE: Final = 8


class Posts(Protocol):
    """Posts a body to a URL; see flows.alerting.posting.Poster."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int: ...


class Target:
    """Where a rule's messages go. Its URL and secret are not shown."""

    __slots__ = ("secret", "url")

    def __init__(self, url: str, secret: str) -> None:
        self.url, self.secret = url, secret


async def sent(poster: Posts, message: Message, target: Target, clock: Callable[[], datetime]) -> Message:
    """The message as it stands after it was tried once more."""
    # TLS takes memory that few servers have a use for.
    from flows.alerting.posting import PostFailed

    body, attempts = message.body.encode(), message.attempts + 1
    signed = headers(message.id, body, target.secret, clock())
    try:
        await asyncio.to_thread(poster.post, target.url, body, signed)
    except PostFailed as failed:
        wait = RETRIES[attempts - 1] if attempts <= len(RETRIES) else None
        due = None if wait is None or message.type == "alert.test" else clock() + wait
        return message._replace(attempts=attempts, due_at=due, problem=str(failed))
    return message._replace(attempts=attempts, due_at=None, sent_at=clock(), problem="")
