from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.services import ServiceFailed, Stack, known
from tests.services.processes import asked

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stack(tmp_path: Path, redis_url: str) -> Iterator[Stack]:
    stack = Stack(tmp_path / "with a space")
    yield stack
    stack.remove()


def port_of(variables: dict[str, str]) -> int:
    [url] = variables.values()
    return int(url.rpartition(":")[2].partition("/")[0])


def answers(variables: dict[str, str]) -> bool:
    return asked(port_of(variables), b"PING\r\n") != b""


def test_a_service_that_runs_is_not_started_twice(stack: Stack) -> None:
    first = stack.start("redis")
    pid = stack.pid("redis")
    assert stack.start("redis") == first
    assert stack.pid("redis") == pid


def test_a_stopped_service_comes_back_at_the_same_address(stack: Stack) -> None:
    first = stack.start("redis")
    stack.stop("redis")
    assert not answers(first)
    assert stack.start("redis") == first
    assert answers(first)


def test_the_environment_names_what_runs_and_nothing_else(stack: Stack) -> None:
    variables = stack.start("redis")
    assert (stack.folder / "env").read_text() == f"TIFFIN_TEST_REDIS_URL={variables['TIFFIN_TEST_REDIS_URL']}\n"
    stack.stop("redis")
    assert (stack.folder / "env").read_text() == ""


def test_the_number_of_a_process_that_has_ended_is_no_process_of_ours(stack: Stack) -> None:
    stack.start("redis")
    os.kill(stack.pid("redis"), signal.SIGKILL)
    stack.pid_file("redis").write_text(f"{os.getpid()} 1")
    stack.stop("redis")
    assert answers(stack.start("redis"))


def test_a_paused_service_does_not_answer_until_it_is_resumed(stack: Stack) -> None:
    variables = stack.start("redis")
    stack.pause("redis")
    assert not answers(variables)
    stack.resume("redis")
    assert answers(variables)


def test_postgres_keeps_its_data_when_it_is_killed_and_started_again(stack: Stack, postgres_url: str) -> None:
    url = stack.start("postgres")["TIFFIN_TEST_POSTGRES_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    stack.kill("postgres")
    assert stack.start("postgres")["TIFFIN_TEST_POSTGRES_URL"] == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]


def test_an_unknown_service_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ServiceFailed, match="postgres, redis, kafka, s3"):
        known(["mysql"])


def test_a_run_that_requires_what_does_not_run_fails_and_says_how_to_start_it(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIFFIN_TEST_")}
    environment |= {"TIFFIN_TEST_REQUIRE": "kafka", "TIFFIN_TEST_SERVICES": str(tmp_path)}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "tests/services/test_stack.py", "-k", "unknown"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "kafka. Start with: make services" in done.stderr


def test_a_run_names_what_it_went_without(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIFFIN_TEST_")}
    environment |= {"TIFFIN_TEST_SERVICES": str(tmp_path)}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "tests/services/test_stack.py", "-k", "unknown"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert "Without postgres, redis, kafka, s3" in done.stdout
