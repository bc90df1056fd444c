"""The lock file serves every Python that the project names, whichever one it was made with."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OURS = Requirement("tiffin[dev,traces,opensearch]")


def locked() -> dict[str, str]:
    lines = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return {canonicalize_name(name): pinned for name, pinned in lines}


def wanted(by: Requirement, environment: dict[str, str]) -> Iterator[Requirement]:
    """What a requirement asks for by itself in such an environment."""
    for text in distribution(by.name).requires or ():
        asked = Requirement(text)
        if asked.marker is None or any(
            asked.marker.evaluate({**environment, "extra": extra}) for extra in (*by.extras, "")
        ):
            yield asked


@pytest.mark.skipif(sys.platform != "linux", reason="the lock is made on Linux")
@pytest.mark.parametrize("python", ["3.11.0", "3.11.9", "3.12.9", "3.13.5", "3.14.0"])
def test_the_lock_has_what_every_python_needs(python):
    environment = {
        **default_environment(),
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
    }
    pins, left, seen = locked(), [OURS], set()
    missing: dict[str, str] = {}
    while left:
        by = left.pop()
        for asked in wanted(by, environment):
            name = canonicalize_name(asked.name)
            if name not in pins:
                missing[str(asked)] = by.name
            elif (name, *sorted(asked.extras)) not in seen:
                seen.add((name, *sorted(asked.extras)))
                left.append(asked)
    assert missing == {}
