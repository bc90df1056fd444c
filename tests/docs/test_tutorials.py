"""Does what the tutorials say, command by command, in a folder of its own; what comes out must be what they show.

A block behind a line that is a path in backquotes is that file. In a block, `$ ` begins a command, and what follows is
what it prints; `…` stands for what differs from run to run.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

HOUSE = Path(__file__).parents[2]
PAGES = sorted((HOUSE / "docs" / "tutorial").glob("*.md"))
_BLOCK = re.compile(r"(?:^`(?P<path>[^`\n]+)`:\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_SERVE = "tiffin serve"


class Step(NamedTuple):
    """A file to write, or a command to run and what it prints."""

    command: str
    shown: str
    path: str = ""


def steps_of(page: str) -> Iterator[Step]:
    for found in _BLOCK.finditer(page):
        if found["path"]:
            yield Step("", found["text"], found["path"])
        elif found["text"].startswith("$ "):
            for one in re.split(r"^\$ ", found["text"], flags=re.M)[1:]:
                command, _, shown = re.sub(r"\\\n\s*", "", one).partition("\n")
                yield Step(command, shown)


@dataclass
class Terminal:
    """A shell in a folder, with a server on a port of its own. What is exported holds from then on."""

    folder: Path
    port: int
    environment: dict[str, str]
    server: subprocess.Popen[bytes] | None = None

    def do(self, step: Step) -> str:
        """Does a step; what it printed."""
        if step.path:
            file = self.folder / step.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(step.shown)
            return step.shown
        if step.command.startswith("export "):
            name, _, value = step.command.removeprefix("export ").partition("=")
            self.environment[name] = value
            return ""
        if step.command == _SERVE:
            self._serve()
            return step.shown
        command = step.command.replace(":8000", f":{self.port}")
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, check=False, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.stdout.decode().replace(f":{self.port}", ":8000")

    def _serve(self) -> None:
        into = (self.folder / "served").open("wb")
        self.server = subprocess.Popen(
            ["bash", "-c", f"exec {_SERVE} --port {self.port}"],
            cwd=self.folder, env=self.environment, stdout=into, stderr=into,
        )  # fmt: skip
        ends = time.monotonic() + 60
        while not self._answers():
            assert self.server.poll() is None, (self.folder / "served").read_text()
            assert time.monotonic() < ends, "the server does not answer"

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait(30)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """An empty folder, with `tiffin` of this checkout on the path."""
    program = tmp_path / "bin" / "tiffin"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cli.main "$@"\n')
    program.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIFFIN_", "PYTEST_"))}
    path = f"{program.parent}:{os.environ['PATH']}"
    port = _free_port()
    made = Terminal(tmp_path, port, {**kept, "PATH": path, "PYTHONPATH": str(HOUSE), "COLUMNS": "200"})
    yield made
    made.stop()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def matches(shown: str, printed: str) -> bool:
    """Whether the output is what the page shows; spaces at the ends of lines do not count."""
    wanted = ".*?".join(re.escape(part) for part in _trimmed(shown).split("…"))
    return re.fullmatch(wanted, _trimmed(printed), re.S) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_shows_what_its_commands_print(page: Path, terminal: Terminal) -> None:
    for step in steps_of(page.read_text()):
        printed = terminal.do(step)
        assert matches(step.shown, printed), f"$ {step.command}\n--- printed\n{printed}\n--- shown\n{step.shown}"


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb\n", "a  \nb", True),
        ("a\n…\nc", "a\nb\nb\nc", True),
        ("id …, 2", "id 8f, 2", True),
        ("a\nb", "a", False),
        ("a", "a\nb", False),
        ("id …, 2", "id 8f, 3", False),
    ],
)
def test_what_is_printed_is_compared_but_for_what_is_left_out(shown: str, printed: str, same: bool) -> None:
    assert matches(shown, printed) is same
