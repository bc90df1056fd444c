"""Keeps libraries out of a process that has no use for them: they are what an idle server's memory goes to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without(*libraries: str) -> Iterator[None]:
    """Within it these libraries cannot be imported, so that another leaves its optional part away."""
    modules: dict[str, Any] = sys.modules
    absent = [name for name in libraries if name not in modules]
    modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del modules[name]
