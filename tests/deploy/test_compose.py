"""The compose file's own settings and commands, on the real services that run here instead of its containers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from confluent_kafka import Producer

from tests import postgres

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
GIVEN = {"STORE_PASSWORD": "hidden-word", "TIFFIN_SECRET_KEY": postgres.KEY, "TIFFIN_ADMIN_KEY": "k" * 40}


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    """librdkafka's own mock cluster: its topics and groups are the test's own, which a shared broker's are not."""
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1})
    yield ",".join(f"{broker.host}:{broker.port}" for broker in owner.list_topics(timeout=10).brokers.values())
    owner.close()


@pytest.fixture
def environment(postgres_url: str, redis_url: str, s3_url: str, brokers: str, tmp_path: Path) -> Iterator[Any]:
    """The settings of the compose file, with the addresses of its services replaced by those that run here."""
    with postgres.database(postgres_url, migrated=False) as url:
        here = {
            "TIFFIN_DATABASE_URL": url,
            "TIFFIN_REDIS_URL": redis_url,
            "TIFFIN_KAFKA_BOOTSTRAP": brokers,
            "TIFFIN_OBJECT_STORE_ENDPOINT": s3_url,
            "TIFFIN_OBJECT_STORE_URL": f"s3://compose-{uuid.uuid4().hex[:12]}/payloads",
        }
        said = {name: _filled(value) for name, value in SERVICES["tiffin"]["environment"].items()}
        assert here.keys() <= said.keys()
        image = {"TIFFIN_DATA": str(tmp_path / "data"), "TIFFIN_PROVIDERS": str(ROOT / "providers")}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("TIFFIN_")}
        yield {**plain, **image, **said, **here, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def _filled(value: str) -> str:
    def of(match: re.Match[str]) -> str:
        return GIVEN.get(match[1], match[2])

    return re.sub(r"\$\{(\w+)(?::[?-]([^}]*))?\}", of, value)


def ordered(service: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", *SERVICES[service]["command"]]


def test_its_one_shot_services_prepare_what_its_server_then_finds_ready(environment, tmp_path: Path) -> None:
    for service in ("migrate", "bucket"):
        for _ in range(2):  # a second `up` runs them again
            done = subprocess.run(ordered(service), env=environment, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    ready = on_server(environment, tmp_path, lambda url: eventually(lambda: _ready(url)))
    assert ready == {"database": "ok", "bus": "ok", "views": "ok", "redis": "ok", "objects": "ok"}


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind / && ! touch /tiffin 2>/dev/null && exec "$@"'
"""A shell's words for: run this where nothing but that folder can be written to."""


def read_only_but(folder: Path) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", READ_ONLY, str(folder)]


def test_its_server_writes_to_nothing_but_its_data_folder(environment, tmp_path: Path) -> None:
    data = Path(environment["TIFFIN_DATA"])
    data.mkdir()
    if subprocess.run([*read_only_but(data), "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody make a mount namespace")
    for service in ("migrate", "bucket"):
        prepared = [*read_only_but(data), *ordered(service)]
        subprocess.run(prepared, env=environment, cwd=tmp_path, check=True, capture_output=True)
    ready = on_server(environment, data, lambda url: eventually(lambda: _ready(url)), within=read_only_but(data))
    assert set(ready.values()) == {"ok"}


def on_server(environment: dict[str, str], folder: Path, look: Callable[[str], Any], within: Sequence[str] = ()) -> Any:
    """What `look` finds on the compose file's server, which listens on a free port of this machine here."""
    command = ordered("tiffin")
    assert command[-6:] == ["--host", "0.0.0.0", "--port", "8000", "--workers", "2"]
    command[command.index("0.0.0.0")], command[command.index("8000")] = "127.0.0.1", "0"
    settings = {name: value for name, value in environment.items() if name != "TIFFIN_PUBLIC_URL"}
    process = subprocess.Popen([*within, *command], env=settings, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        said: list[str] = []
        for line in process.stderr or ():
            said.append(line)
            if '"serving"' in line:
                return look(json.loads(line)["url"])
        raise AssertionError("".join(said))
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _ready(url: str) -> Any:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=10)
    except httpx.HTTPError:
        return None
    found = answer.json()["dependencies"]
    return found if answer.status_code == 200 and set(found.values()) == {"ok"} else None


def eventually(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    give_up = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return found
