"""The servers that are compared, each a process of its own on a free port with one uvicorn worker."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from bench import load
from engine.messages import Connection, Ref
from flows.journal import database_url, secret_box
from flows.settings import Settings
from stores import connections, mappings
from stores.database import open_database
from stores.schema import migrate
from stores.secrets import SecretBox

SECRET = b"a secret of the benchmarks, 32 b"
PATH = "/v1/integrations/erp/stock/c/bench/levels"
_UVICORN = ("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")


@dataclass(frozen=True)
class Kind:
    name: str
    arguments: tuple[str, ...]


ECHO = Kind("echo", (*_UVICORN, "bench.echo:app"))
HANDWRITTEN = Kind("handwritten", (*_UVICORN, "bench.handwritten:app"))
TIFFIN = Kind("tiffin", ("-m", "cli.main", "serve"))


def settings(folder: Path) -> Settings:
    return Settings(data=folder / "tiffin", providers=folder / "providers")


def prepare(folder: Path) -> None:
    """Tiffin's connection and mappings, and the same tables and mappings for the hand-written handler."""
    (folder / "providers").mkdir()
    (folder / "providers" / "stock.yaml").write_text((Path(__file__).parent / "stock.yaml").read_text())
    (folder / "tiffin").mkdir(mode=0o700)
    for url in (database_url(settings(folder)), f"sqlite:///{folder / 'handwritten.db'}"):
        fill(url, secret_box(settings(folder)))


def fill(url: str, box: SecretBox, names: Sequence[str] = ("bench",)) -> None:
    """Tables with a connection of each name, and the store's mapping."""
    now = datetime.now(UTC)
    database = open_database(url)
    migrate(database)
    with database.engine.connect().execution_options(writing=True) as transaction, transaction.begin():
        for name in names:
            connections.add(transaction, Connection(name, name, "stock", {"signing": (SECRET,)}), box, now)
            store = Ref("store", "", load.WAREHOUSE)
            mappings.set_mapping(transaction, name, "stock", store, f"sto_{name}", now, "bench")
    database.close()


class Server:
    """A running server: `url` is where the load goes."""

    def __init__(self, kind: Kind, folder: Path, **settings: str) -> None:
        """`settings` are TIFFIN_ variables beside the folder's."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._kind, self._folder, self._settings = kind, folder, settings
        self.url = f"http://127.0.0.1:{self._port}{PATH}"

    def __enter__(self) -> Server:
        environment = {
            **os.environ,
            "TIFFIN_DATA": str(self._folder / "tiffin"),
            "TIFFIN_PROVIDERS": str(self._folder / "providers"),
            "TIFFIN_LOG_LEVEL": "warning",
            "BENCH_FOLDER": str(self._folder),
            "BENCH_SECRET": SECRET.decode(),
            **self._settings,
        }
        command = [sys.executable, *self._kind.arguments, "--port", str(self._port)]
        self._process = subprocess.Popen(command, env=environment)
        self._wait()
        return self

    def _wait(self) -> None:
        for _ in range(300):
            if self._process.poll() is not None:
                raise SystemExit(f"the {self._kind.name} server ended with {self._process.returncode}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"the {self._kind.name} server did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
