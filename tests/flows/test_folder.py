from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import threading
import time

import pytest

from flows.folder import FolderInUse, FolderLock
from tests.flows.scenery import settings_in, started


def test_a_folder_is_served_by_one_process_which_the_refusal_names(tmp_path):
    held = FolderLock(tmp_path)
    began = time.monotonic()
    with pytest.raises(FolderInUse, match=rf"Another process \({os.getpid()}\) serves"):
        FolderLock(tmp_path)
    assert time.monotonic() - began < 5
    held.release()


def test_a_released_folder_can_be_served_again(tmp_path):
    FolderLock(tmp_path).release()
    FolderLock(tmp_path).release()


def ended_process() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_the_next_server_waits_while_the_writer_of_a_killed_one_still_holds_the_folder(tmp_path):
    file = (tmp_path / "serving.lock").open("w")
    file.write(str(ended_process()))
    file.flush()
    fcntl.flock(file, fcntl.LOCK_EX)
    taken: list[FolderLock] = []
    waiting = threading.Thread(target=lambda: taken.append(FolderLock(tmp_path)))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    file.close()
    waiting.join(10)
    assert taken
    assert (tmp_path / "serving.lock").read_text() == str(os.getpid())
    taken[0].release()


def test_a_writer_that_never_ends_is_not_waited_for_without_end(tmp_path):
    with (tmp_path / "serving.lock").open("w") as file:
        file.write(str(ended_process()))
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(FolderInUse):
            FolderLock(tmp_path, patience_seconds=0.2)


def test_the_folder_is_readable_by_its_owner_alone(tmp_path):
    FolderLock(tmp_path / "data").release()
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_a_second_serving_process_on_one_folder_is_refused(tmp_path):
    settings = settings_in(tmp_path)

    async def run():
        async with started(settings), started(settings):
            pass

    with pytest.raises(FolderInUse):
        asyncio.run(run())
