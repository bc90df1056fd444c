"""A provider's HTTP server that answers from a script, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request as it came; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """What is answered. Chunks are sent without a length, for as long as there are any and the client listens."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    chunks: Iterable[bytes] | None = None


def page(document: Any, **headers: str) -> Answer:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(200, json.dumps(document).encode(), (("Content-Type", "application/json"), *named))


Script = Callable[[int, Asked], Answer]
"""The answer to the request of this number, counted from 0."""


class Recorded:
    """The server, from `with` to its end. `asked` are the requests so far."""

    def __init__(self, script: Script) -> None:
        self.script, self.asked = script, list[Asked]()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Recorded:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("content-length", "0"))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(handler.command, handler.path, headers, handler.rfile.read(size))
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
        answer = self.script(number, asked)
        handler.send_response(answer.status)
        for name, value in answer.headers:
            handler.send_header(name, value)
        with suppress(OSError):
            if answer.chunks is None:
                handler.send_header("Content-Length", str(len(answer.body)))
                handler.end_headers()
                handler.wfile.write(answer.body)
                return
            handler.send_header("Connection", "close")
            handler.end_headers()
            for chunk in answer.chunks:
                handler.wfile.write(chunk)
        handler.close_connection = True


def endless(chunk: bytes) -> Iterator[bytes]:
    while True:
        yield chunk
