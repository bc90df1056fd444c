"""Readiness against an S3 server of the test's own, which is stopped and paused."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

KEYS = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}


class ObjectServer:
    """moto's S3 server in a process of its own, with one bucket."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not self._answers():
            assert self.process.poll() is None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5):
                return True
        except OSError:
            return False

    def make(self, bucket: str) -> None:
        boto3 = pytest.importorskip("boto3")
        boto3.client("s3", endpoint_url=self.url, **KEYS).create_bucket(Bucket=bucket)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(30)


@pytest.fixture
def objects() -> Iterator[ObjectServer]:
    pytest.importorskip("moto.server")
    server = ObjectServer()
    yield server
    server.stop()


def on(settings, objects: ObjectServer):
    return settings.model_copy(
        update={
            "object_store_url": "s3://ready/payloads",
            "object_store_endpoint": objects.url,
            "object_store_region": "us-east-1",
            "object_store_access_key": SecretStr("k"),
            "object_store_secret_key": SecretStr("s"),
        }
    )


def told(running) -> str:
    answer = running.client.get("/readyz")
    assert answer.status_code == 200
    return answer.json()["dependencies"]["objects"]


def test_readiness_names_the_object_store_that_is_there_paused_back_and_gone(settings, start, objects) -> None:
    objects.make("ready")
    running = start(on(settings, objects))
    found = [told(running)]
    os.kill(objects.process.pid, signal.SIGSTOP)
    found.append(told(running))
    os.kill(objects.process.pid, signal.SIGCONT)
    while (now := told(running)) != "ok":
        assert now.startswith("away")
    objects.stop()
    found.append(told(running))
    assert [one.partition(":")[0] for one in found] == ["ok", "away", "away"]


def test_a_bucket_that_is_not_there_is_away(settings, start, objects) -> None:
    assert told(start(on(settings, objects))).startswith("away")
