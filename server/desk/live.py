"""The overview as it changes, by server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

What is shown is made once for all who look, by one task that runs as long as somebody does and rests nine times as
long as it works. Streams are bounded, in all and for one session; a browser that gets none fetches the page instead.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import orjson
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from flows.journal import StoreUnavailable
from flows.logging import logger
from server.desk.sessions import COOKIE, Visit, needs, session_of

MOST = 32
MOST_OF_A_SESSION = 6
INTERVAL_SECONDS = 2.0
HEARTBEAT_SECONDS = 5.0
_SHARE = 0.1
_log = logger("tiffin.desk")


class Live:
    """The streams of one process. `render` makes the text that all of them show."""

    def __init__(self, render: Callable[[], Awaitable[str]], interval: float = INTERVAL_SECONDS) -> None:
        self._render, self._interval = render, interval
        self._sessions: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._number, self._text = 0, ""

    @property
    def streams(self) -> int:
        return self._sessions.total()

    def enter(self, session: str) -> bool:
        """Takes a place for a stream; False where there is none left."""
        if self.streams >= MOST or self._sessions[session] >= MOST_OF_A_SESSION:
            return False
        self._sessions[session] += 1
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return True

    def leave(self, session: str) -> None:
        self._sessions[session] -= 1
        self._sessions += Counter()
        if not self._sessions and self._task is not None:
            self._task.cancel()
            self._task = None

    async def after(self, number: int, seconds: float) -> tuple[int, str]:
        """The newest text and its number, once that is above `number` or the seconds have passed."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._number > number)
        except TimeoutError:
            pass
        return self._number, self._text

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                text = await self._render()
            except StoreUnavailable:
                text = self._text
            except Exception:
                _log.exception("overview_failed")
                text = self._text
            if text != self._text:
                async with self._changed:
                    self._number, self._text = self._number + 1, text
                    self._changed.notify_all()
            await asyncio.sleep(max(self._interval, (time.monotonic() - began) * (1 / _SHARE - 1)))


class Stream(Response):
    """An answer that goes on until its reader has gone."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], left: Callable[[], None]) -> None:
        super().__init__()
        self._events, self._left = events, left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            writing = asyncio.ensure_future(self._write(send))
            gone = asyncio.ensure_future(_gone(receive))
            try:
                await asyncio.wait({writing, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (writing, gone):
                    task.cancel()
                await asyncio.gather(writing, gone, return_exceptions=True)
        finally:
            self._left()

    async def _write(self, send: Send) -> None:
        async for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@needs("viewer")
async def stream(visit: Visit) -> Response:
    live: Live = visit.request.app.state.live
    session = visit.request.cookies.get(COOKIE, "")
    if not live.enter(session):
        return PlainTextResponse("Too many look at once.", 503, {"retry-after": "30"})
    return Stream(_events(visit, live), lambda: live.leave(session))


async def _events(visit: Visit, live: Live) -> AsyncIterator[bytes]:
    """What changed, and every few seconds a sign of life; the end, once the session has ended."""
    yield b"retry: 3000\n\n"
    number, checked = 0, time.monotonic()
    while True:
        newest, text = await live.after(number, HEARTBEAT_SECONDS)
        if newest > number:
            number = newest
            yield b"event: overview\ndata: " + orjson.dumps(text) + b"\n\n"
        else:
            yield b": still here\n\n"
        if time.monotonic() - checked >= HEARTBEAT_SECONDS:
            checked = time.monotonic()
            if not await _signed_in(visit):
                yield b"event: over\ndata: signed out\n\n"
                return


async def _signed_in(visit: Visit) -> bool:
    try:
        return await session_of(visit.request) is not None
    except StoreUnavailable:
        return True
