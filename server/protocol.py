"""HTTP as uvicorn speaks it, except that a stream of the desk ends when the server does."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

STREAM = "/desk/live"
"""The path whose answers never end by themselves."""


class Protocol(HttpToolsProtocol):
    """One connection."""

    def shutdown(self) -> None:
        """Answers that are under way are finished first; a stream would hold up the end until it is cut off."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and cycle.scope["path"] == STREAM:
            self.transport.close()
        else:
            super().shutdown()
