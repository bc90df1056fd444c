"""The real services that tests use where they run; what a run goes without is said at its end.

A test that needs one asks for its fixture and is skipped where it does not run: `postgres_url`, `redis_url`,
`kafka_bootstrap`, `s3_url`. With TIFFIN_TEST_REQUIRE=all (or a list of services) a missing one ends the run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stores.database import open_database
from stores.tables import metadata
from tests import postgres
from tests.flows.scenery import DATABASE_VARIABLE
from tests.services import FOLDER, SERVICES, Stack

VARIABLES = {
    "postgres": "TIFFIN_TEST_POSTGRES_URL",
    "redis": "TIFFIN_TEST_REDIS_URL",
    "kafka": "TIFFIN_TEST_KAFKA_BOOTSTRAP",
    "s3": "TIFFIN_TEST_S3_URL",
}
FOLDER_VARIABLE = "TIFFIN_TEST_SERVICES"

# A busy machine is no fault of a reader. What hangs ends by the timeout of every test.
settings.register_profile("tiffin", deadline=None)
settings.load_profile("tiffin")


def pytest_configure(config: pytest.Config) -> None:
    for name, value in _reached().items():
        os.environ.setdefault(name, value)
    missing = [name for name in _required() if name in without()]
    if missing:
        raise pytest.UsageError(f"required, but not running: {', '.join(missing)}. Start with: make services")


def _reached() -> dict[str, str]:
    """Where the services of `make services` are reached, those that answer."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return {}
    folder = Path(os.environ.get(FOLDER_VARIABLE, FOLDER))
    return Stack(folder).environment() if (folder / "env").exists() else {}


def _required() -> list[str]:
    wanted = os.environ.get("TIFFIN_TEST_REQUIRE", "")
    return list(SERVICES) if wanted == "all" else wanted.replace(",", " ").split()


def without() -> list[str]:
    """The services that this run goes without."""
    return [name for name, variable in VARIABLES.items() if not os.environ.get(variable)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if missing := without():
        terminalreporter.write_line(
            f"Without {', '.join(missing)}: what needs them was skipped. Start them with: make services", yellow=True
        )
    if shutil.which("npm") is None:
        terminalreporter.write_line("Without node: what editors show was not tried (tests/editor).", yellow=True)


def _url(name: str) -> str:
    variable = VARIABLES[name]
    if not os.environ.get(variable):
        pytest.skip(f"{name} does not run ({variable}; make services)")
    return os.environ[variable]


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A server's URL, of a role that may make databases."""
    return _url("postgres")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return _url("redis")


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    """A broker that makes no topics by itself."""
    return _url("kafka")


@pytest.fixture(scope="session")
def s3_url() -> str:
    """An endpoint that takes any key; buckets are the test's own to make."""
    return _url("s3")


@pytest.fixture(scope="session")
def _postgres_database(postgres_url: str) -> Iterator[str]:
    """A database of this run's own, with the newest tables."""
    with postgres.database(postgres_url) as url:
        yield url


@pytest.fixture
def postgres_database(_postgres_database: str) -> str:
    """The URL of a PostgreSQL database with empty tables."""
    postgres.empty(_postgres_database)
    return _postgres_database


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with empty tables; a test that asks for it runs on SQLite and on PostgreSQL."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_database")
        return url
    url = f"sqlite:///{tmp_path}/tiffin.db"
    database = open_database(url)
    metadata.create_all(database.engine)
    database.close()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def everywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Has the settings of `tests.flows.scenery` name SQLite and then PostgreSQL."""
    name: str = request.param
    if name == "postgres":
        monkeypatch.setenv(DATABASE_VARIABLE, request.getfixturevalue("postgres_database"))
    return name
