"""Asks something that may hang whether it answers, without waiting for it longer than the asker can."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

PATIENCE_SECONDS = 2.0


class Answering:
    """One question at a time, on a thread of its own that holds up no one's end.

    `ask` returns when there is an answer and raises anything when there is none. Who asks while an earlier
    question still waits is told what that one finds.
    """

    def __init__(self, ask: Callable[[], object], patience: float = PATIENCE_SECONDS) -> None:
        self._ask, self._patience = ask, patience
        self._asked: Future[bool] | None = None

    async def answers(self) -> bool:
        """Whether it answers within the patience, in seconds."""
        if self._asked is None or self._asked.done():
            self._asked = Future()
            threading.Thread(target=self._wait, args=(self._asked,), name="answering", daemon=True).start()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._asked)), self._patience)
        except TimeoutError:
            return False

    def _wait(self, asked: Future[bool]) -> None:
        try:
            self._ask()
        except Exception:
            asked.set_result(False)
        else:
            asked.set_result(True)
