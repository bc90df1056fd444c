"""The JSON Schemas of Tiffin's contracts, read from the files beside this one."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from engine.canon import Canon

_HERE = Path(__file__).parent
_SUFFIX = ".schema.json"


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """A schema by its path without ending: `failure`, `commands/UpdatePrice.v1`."""
    read: dict[str, Any] = json.loads((_HERE / f"{name}{_SUFFIX}").read_text())
    return read


@functools.cache
def canon() -> Canon:
    """All canonical commands of the current version."""
    files = sorted((_HERE / "commands").glob(f"*.v1{_SUFFIX}"))
    names = [file.name.removesuffix(f".v1{_SUFFIX}") for file in files]
    return Canon({name: schema(f"commands/{name}.v1") for name in names})


@functools.cache
def event_names() -> tuple[str, ...]:
    """The events that the views emit, in their current version."""
    return tuple(sorted(file.name.removesuffix(f".v1{_SUFFIX}") for file in (_HERE / "events").glob(f"*.v1{_SUFFIX}")))
