"""The product as its users meet it: the command line in processes of their own, the server over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner

from cli.main import tiffin
from flows.journal import database_url
from flows.settings import Settings
from stores import outbox
from stores.database import open_database

ROOT = Path(__file__).parents[2]
_START_SECONDS = 60.0


class Tiffin:
    """A data folder with a server that can be started, stopped and killed. Logs gather in `log`."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.log: list[dict[str, Any]] = []
        self.url = ""
        self.client = httpx.Client(timeout=60)
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIFFIN_")}
        return {**inherited, "PYTHONPATH": str(ROOT), "TIFFIN_DATA": str(self.data), **self._settings}

    def run(self, *arguments: str, status: int | None = 0) -> str:
        """What a command prints; its exit status must be as given, None: any.

        It runs in this process: what a test asks a dozen times would else import the product a dozen times.
        """
        ours = {name: None for name in os.environ if name.startswith("TIFFIN_")}
        done = CliRunner().invoke(tiffin, arguments, env={**ours, "TIFFIN_DATA": str(self.data), **self._settings})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert status is None or done.exit_code == status, done.output
        return done.stdout

    def done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own."""
        return subprocess.run(
            command(arguments), cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120
        )

    def json(self, *arguments: str, status: int | None = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", status=status))

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]

    def commands(self) -> list[dict[str, Any]]:
        """Every command on the bus, in order."""
        return self.lines("tail", "catalog.commands", "--from-beginning")

    # ---- the server ----

    def start(self, *options: str) -> None:
        self._process = subprocess.Popen(
            command(["serve", "--port", "0", *options]),
            cwd=ROOT,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self._process.stderr, ready), daemon=True).start()
        assert ready.wait(_START_SECONDS), self.log
        assert self.url, self.log
        self._listens()

    def _listens(self) -> None:
        """Returns once the server takes connections: it says that it serves a moment before."""
        give_up = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.client.get(f"{self.url}/healthz")
                return
            except httpx.ConnectError:
                assert time.monotonic() < give_up, self.log
                time.sleep(0.01)

    def _read(self, lines: Any, ready: threading.Event) -> None:
        self.url = ""
        for line in lines:
            self.log.append(json.loads(line) if line.startswith("{") else {"event": line})
            if self.log[-1]["event"] == "serving":
                self.url = self.log[-1]["url"]
                ready.set()
        ready.set()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def writer_pid(self) -> int:
        found = subprocess.check_output(["pgrep", "-P", str(self.pid), "-f", "writer_process"], text=True)
        return int(found.split()[0])

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9 of the server; its writer process is left to itself."""
        os.kill(self.pid, signal.SIGKILL)
        self._ended()

    def kill_all(self) -> None:
        """kill -9 of every process at once, as when memory runs out."""
        os.killpg(self.pid, signal.SIGKILL)
        self._ended()

    def kill_writer(self) -> None:
        os.kill(self.writer_pid, signal.SIGKILL)

    def stop(self) -> int:
        """The exit status after SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)
        return self._ended()

    def _ended(self) -> int:
        assert self._process is not None
        return self._process.wait(60)

    def close(self) -> None:
        self.client.close()
        if self.running:
            self.stop()

    # ---- over HTTP ----

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return self.client.post(self.url + path, content=body, headers=headers)

    def settled(self, seconds: float = 60.0) -> dict[str, Any]:
        """The ledger once nothing is in flight and nothing waits in the outbox, events of the views included."""
        give_up = time.monotonic() + seconds
        while True:
            ledger: dict[str, Any] = self.json("ledger", "--deep", status=None)
            in_flight = ledger["states"].get("in_flight", 0)
            if not in_flight and not ledger["commands"]["pending"] and not self._waiting():
                return ledger
            assert time.monotonic() < give_up, ledger
            time.sleep(0.1)

    def _waiting(self) -> int:
        """Rows that wait for the bus; the ledger counts those of commands alone."""
        settings = Settings(_env_file=None, data=self.data, database_url=self._settings.get("TIFFIN_DATABASE_URL", ""))
        database = open_database(database_url(settings))
        try:
            with database.engine.connect() as connection:
                return outbox.waiting(connection)[0]
        finally:
            database.close()


def command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "cli.main", *arguments]
