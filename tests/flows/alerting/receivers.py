"""A receiver of alerts, and what it was told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOOPBACK = ("127.0.0.0/8",)


class Receiver:
    """Answers with `status` (a redirect names /elsewhere); `told` are bodies and headers as they came."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.status = 204
        self.told: list[tuple[str, bytes, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook?token=do-not-show-me"

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body, _ in self.told]

    def data(self, n: int) -> dict[str, Any]:
        return json.loads(self.told[n][1])["data"]


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.told.append((self.path, body, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(found.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    found = Receiver(server)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
