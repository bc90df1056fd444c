"""The URLs at which providers send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.interpreter import Interpreter
from engine.model import Provider


def path_at(provider: Provider, tail: str, connection: str = "") -> str:
    """The URL path with this last part: through a connection where one is named."""
    base = f"/v1/integrations/{provider.family}/{provider.provider}"
    return f"{base}/c/{connection}/{tail}" if connection else f"{base}/webhooks/{tail}"


def urls_of(interpreter: Interpreter, public_url: str, connection: str = "") -> Mapping[str, Any]:
    """`$urls` of replies: `public`, the server's own, and `feeds`, the URL of each feed by its name."""
    feeds = {
        name: public_url + path_at(interpreter.provider, compiled.path, connection)
        for name, compiled in interpreter.feeds.items()
    }
    return {"public": public_url, "feeds": feeds}
