"""yaml-language-server spoken to over standard input and output, as an editor does (LSP 3.17, JSON-RPC 2.0)."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

VERSION = "1.19.2"
FOLDER = Path(__file__).parents[2] / "build" / "editor"
SETTINGS = {"yaml": {"schemaStore": {"enable": False}, "validate": True, "completion": True, "hover": True}}
_PATIENCE = 60


class NotThere(Exception):
    """The server cannot be run here; the message says what is missing."""


def program(folder: Path = FOLDER) -> Path:
    """The server's program, installed from npm where it is not there yet. Raises NotThere."""
    found = folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NotThere("node and npm are not there")
    if not found.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        package = f"yaml-language-server@{VERSION}"
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", package]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=180)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise NotThere(f"npm could not install {package}") from error
    return found


class LanguageServer:
    """A running server. What it asks is answered with its settings; what it says of files is kept."""

    def __init__(self, folder: Path, executable: Path) -> None:
        self._settings: dict[str, Any] = SETTINGS
        self._process = subprocess.Popen(
            ["node", str(executable), "--stdio"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._heard: queue.Queue[dict[str, Any]] = queue.Queue()
        self._said: dict[tuple[str, int | None], list[dict[str, Any]]] = {}
        self._number = self._answered = 0
        threading.Thread(target=self._listen, daemon=True).start()
        abilities = {
            "workspace": {"configuration": True},
            "textDocument": {
                "completion": {"completionItem": {"snippetSupport": True}},
                "publishDiagnostics": {"versionSupport": True},
            },
        }
        self.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": abilities})
        self._tell("initialized", {})
        self._configure(SETTINGS)

    @contextmanager
    def configured(self, more: dict[str, Any]) -> Iterator[None]:
        """Has settings of `yaml` beside SETTINGS for a while."""
        self._configure({"yaml": {**SETTINGS["yaml"], **more}})
        try:
            yield
        finally:
            self._configure(SETTINGS)

    def _configure(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._tell("workspace/didChangeConfiguration", {"settings": settings})
        before = self._answered
        while self._answered == before:
            self._next()

    def open(self, file: Path) -> str:
        """Opens a file as an editor does; its URI."""
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": file.read_text()}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return file.as_uri()

    def ask(self, method: str, params: Any) -> Any:
        """The result of a request. Raises queue.Empty where none comes."""
        self._number += 1
        self._write({"id": self._number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == self._number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """What the server says of an open file."""
        while not any(of == uri for of, _ in self._said):
            self._next()
        return next(found for (of, _), found in self._said.items() if of == uri)

    def stop(self) -> None:
        self.ask("shutdown", None)
        self._tell("exit", None)
        self._process.wait(_PATIENCE)

    def _next(self) -> dict[str, Any]:
        message = self._heard.get(timeout=_PATIENCE)
        if message.get("method") == "textDocument/publishDiagnostics":
            params = message["params"]
            self._said[params["uri"], params.get("version")] = params["diagnostics"]
        elif "method" in message and "id" in message:
            self._write({"id": message["id"], "result": self._answer(message)})
        return message

    def _answer(self, message: dict[str, Any]) -> Any:
        if message["method"] != "workspace/configuration":
            return None
        self._answered += 1
        return [self._settings.get(item.get("section", "")) for item in message["params"]["items"]]

    def _tell(self, method: str, params: Any) -> None:
        self._write({"method": method, "params": params})

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while (length := _length(stream)) is not None:
            self._heard.put(json.loads(stream.read(length)))


def _length(stream: IO[bytes]) -> int | None:
    """The length that a message's headers say; None at the end."""
    length = None
    while line := stream.readline():
        if line == b"\r\n":
            return length
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return None
