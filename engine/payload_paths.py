"""Dotted payload paths: `items[0].price`, `items.0.price`, `payload`."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1024)
def steps(path: str) -> tuple[str, ...]:
    """The names and indices of a path, in order, as text."""
    return tuple(re.findall(r"[^.\[\]]+", path))
