from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest

from cli.reference import commands, metrics
from schemas.generate import ROOT

COMMANDS = dict(commands())


def test_the_pages_are_current() -> None:
    # In a process of its own, as `make check` does it: other tests may have changed what commands look at.
    done = subprocess.run(
        [sys.executable, "-m", "cli.reference", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_an_example_that_names_it(path: str) -> None:
    assert re.search(rf"Example:\s+(.* )?{path}\b", COMMANDS[path].help or ""), path


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_says_what_it_does(path: str) -> None:
    silent = [p.name for p in COMMANDS[path].params if isinstance(p, click.Option) and not p.help]
    assert silent == []


def test_every_metric_says_what_it_tells() -> None:
    assert [one.name for one in metrics() if not one.says.endswith(".")] == []


def documented() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        (str(page.relative_to(ROOT)), found)
        for page in pages
        for found in re.findall(r"(?:^|`|\$ )(tiffin(?: [a-z-]*[a-z])+)", page.read_text(), re.M)
    ]


@pytest.mark.parametrize(("page", "typed"), documented())
def test_every_command_that_a_page_names_exists(page: str, typed: str) -> None:
    assert any(f"{typed} ".startswith(f"{path} ") or f"{path} ".startswith(f"{typed} ") for path in COMMANDS), page
