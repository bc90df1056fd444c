"""What is done to a running set-up while callers send. Each fault returns when all goes on again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg

from tests.chaos.load import Load, comes_true
from tests.e2e.tiffin import Tiffin
from tests.services import Stack

SETTLE_SECONDS = 120.0


class NotRecovered(Exception):
    """A fault is over and the set-up does not go on."""


class Setup(NamedTuple):
    """A server of two workers on services of its own, with callers."""

    tiffin: Tiffin
    load: Load
    stack: Stack
    database: str
    say: Callable[[str], None]


def workers(tiffin: Tiffin) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(tiffin.pid), "-f", "spawn_main"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


async def eventually(true: Callable[[], bool], what: str, seconds: float = SETTLE_SECONDS) -> None:
    """Returns when it comes true. Raises NotRecovered."""
    if not await comes_true(true, seconds):
        raise NotRecovered(f"{what}: not within {seconds:.0f} s")


async def goes_on(setup: Setup, after: str) -> None:
    """Messages are answered 2xx again."""
    if not await setup.load.answered(50):
        raise NotRecovered(f"after {after} no more messages are answered 2xx")


async def kill_workers(setup: Setup, times: int, seed: int = 1) -> None:
    """kill -9 of a worker, or of both, at random moments."""
    chance = random.Random(seed)
    for n in range(times):
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        victims = chance.sample(workers(setup.tiffin), k=1 if chance.random() < 0.8 else 2)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: len(workers(setup.tiffin)) == 2, "two workers after a kill")
        setup.say(f"kill {n + 1} of {times}")
    await goes_on(setup, "the kills")


async def stop_service(setup: Setup, name: str, seconds: float) -> None:
    """A service is away for a while: stopped, and started again.

    The S3 server keeps its objects in memory, so it is paused: it answers nobody, its connections open.
    """
    gone, back = (setup.stack.pause, setup.stack.resume) if name == "s3" else (setup.stack.stop, setup.stack.start)
    await asyncio.to_thread(gone, name)
    answered = len(setup.load.acknowledged)
    await asyncio.sleep(seconds)
    setup.say(f"{name} was away for {seconds:.0f} s: {len(setup.load.acknowledged) - answered} answered 2xx meanwhile")
    await asyncio.to_thread(back, name)
    await goes_on(setup, f"{name} came back")


async def kill_between_publish_and_mark(setup: Setup) -> None:
    """The relays publish, cannot mark what they published, and are killed there."""
    async with await psycopg.AsyncConnection.connect(setup.database) as connection:
        # Marking moves rows to `published`, which nobody can write to now; receiving and publishing go on.
        await connection.execute("LOCK TABLE published IN EXCLUSIVE MODE")
        await eventually(lambda: _waiting_to_mark(setup.database), "a relay that waits to mark")
        for pid in workers(setup.tiffin):
            os.kill(pid, signal.SIGKILL)
        await connection.rollback()
    await eventually(lambda: len(workers(setup.tiffin)) == 2, "two workers after the relays were killed")
    setup.say("both relays were killed between publishing and marking")
    await goes_on(setup, "the relays were killed")


def _waiting_to_mark(database: str) -> bool:
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE relation = 'published'::regclass AND NOT granted"
        ).fetchone()
    return bool(found and found[0])


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Callable[[int], None]]:
    """A file system of so many MB at a folder; the function given makes it larger or smaller.

    Raises PermissionError where this user may not mount.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid():
        raise PermissionError("only root may mount a small file system")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)

    def resize(to: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={to}m", str(folder)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def fill_disk(tiffin: Tiffin, load: Load, resize: Callable[[int], None], say: Callable[[str], None]) -> None:
    """The data folder's disk fills up under load, and is made larger."""
    await eventually(lambda: load.statuses[503] >= 100, "a full disk")
    say(f"the disk is full: {len(load.acknowledged)} were answered 2xx before")
    resize(2048)
    if not await load.answered(50):
        raise NotRecovered("after the disk got room again no messages are answered 2xx")
