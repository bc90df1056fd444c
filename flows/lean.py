"""What a process of the server does without: libraries that it has no use for, and needless looks for garbage."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

YOUNG: Final = 20_000
"""So many objects are made and not let go before the collector looks for cycles among them."""


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


def settle() -> None:
    """To be called when a process has started: what it has made lives as long as it does, and is not looked at again.

    Requests leave hardly a cycle behind. Looking for them as often as Python does by itself takes a tenth of the
    time of a webhook, and more of a large document's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)
