"""Does what docs/how-to/fetch.md says, against the stand-in that it describes; see test_tutorials for how."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.refreshing import asking, fetcher, pages
from tests.docs import test_tutorials
from tests.docs.test_tutorials import HOUSE, Step, Terminal, matches, steps_of

PAGE = (HOUSE / "docs" / "how-to" / "fetch.md").read_text()
STAND_IN = "python3 -m http.server 8100"
terminal = test_tutorials.terminal


def test_the_page_shows_what_its_commands_print(terminal: Terminal) -> None:
    port = test_tutorials._free_port()
    stand_in: subprocess.Popen[bytes] | None = None
    latest = ""
    try:
        for step in steps_of(PAGE):
            if step.command.startswith(STAND_IN):
                stand_in = served(terminal.folder / "shop", port)
                continue
            here = Step(step.command.replace(" ID", f" {latest}"), step.shown.replace(":8100", f":{port}"), step.path)
            printed = eventually(terminal, here)
            if "--state failed" in step.command and (found := re.search(r"^\w{30,}", printed, re.M)):
                latest = found[0]
    finally:
        if stand_in is not None:
            stand_in.terminate()
            stand_in.wait(30)
    assert latest


def eventually(terminal: Terminal, step: Step) -> str:
    """What a step prints; what is done behind the scenes may take a moment to show."""
    ends = time.monotonic() + (60 if " list" in step.command else 0)
    while True:
        printed = terminal.do(step)
        if step.path or matches(step.shown, printed):
            return printed
        assert time.monotonic() < ends, f"$ {step.command}\n--- printed\n{printed}\n--- shown\n{step.shown}"
        time.sleep(0.2)


def served(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    made = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ends = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return made
        except OSError:
            assert time.monotonic() < ends, "the stand-in does not listen"
            time.sleep(0.05)


def test_the_page_names_every_code_and_no_other() -> None:
    named = set(re.findall(r"`(fetch_\w+)`", PAGE.partition("| code | why |")[2].partition("\n\n")[0]))
    folder = Path(fetcher.__file__).parent
    sources = [*folder.glob("*.py"), HOUSE / "engine" / "fetching.py"]
    raised = {
        code
        for file in sources
        for code in re.findall(r'(?:FetchRefused|TryAgain)\(\s*"(fetch_\w+)"', file.read_text())
    }
    internal = {"fetch_broke_off"}
    assert named == raised - internal


@pytest.mark.parametrize("code", asking.NEXT_STEPS)
def test_what_is_to_be_done_is_told_of_codes_that_there_are(code: str) -> None:
    assert f"`{code}`" in PAGE


def test_the_numbers_of_the_page_are_those_of_the_program() -> None:
    assert (fetcher.MOST_ATTEMPTS, fetcher.FIRST_BACKOFF, fetcher.LONGEST_BACKOFF) == (12, 1.0, 900.0)
    assert pages.MOST_RETRY_AFTER == 3600.0
    assert asking.OVERLAP.total_seconds() == 60
