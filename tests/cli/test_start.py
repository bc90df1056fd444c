"""What a command loads before it answers: heavy libraries would take half of the time of `tiffin provider try`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.provider_folder import folder

ROOT = Path(__file__).parents[2]
HEAVY = {
    "alembic", "cryptography", "duckdb", "httpx", "jinja2", "jsonata", "jsonschema", "jwt",
    "lxml", "openpyxl", "opentelemetry", "prometheus_client", "psycopg", "pyarrow", "pydantic_settings", "redis",
    "rich", "sqlalchemy", "starlette", "structlog", "uvicorn",
}  # fmt: skip
OF_OTHERS = {"bus", "server", "stores", "cli.provider_check", "cli.provider_new", "cli.provider_explain"}
_SCRIPT = """
import json, sys
from cli.main import main
try:
    main()
except SystemExit as ended:
    print(json.dumps([ended.code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded(*arguments: str) -> tuple[int, set[str]]:
    """The exit status of `tiffin provider …` in a process of its own, and the modules that it had loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, "provider", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    return status, set(modules)


@pytest.fixture
def tried(tmp_path: Path) -> list[str]:
    folder(tmp_path, body='{"shop": "S1", "id": "m1", "items": [{"code": "a", "rate": "10.50", "kind": "plain"}]}')
    body = tmp_path / "tests" / "golden" / "corner" / "prices" / "two_prices" / "body.json"
    return ["try", str(tmp_path / "providers" / "corner.yaml"), "--feed", "prices", "--body", str(body)]


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_a_trial_loads_no_heavy_library(tried, more):
    status, modules = loaded(*tried, *more)
    assert (status, modules & (HEAVY | OF_OTHERS)) == (0, set())


def test_a_trial_of_a_shared_secret_s_signature_loads_no_heavy_library(tried):
    status, modules = loaded(*tried, "--secret", "key=corner-secret-0192", "--header", "X-Key: corner-secret-0192")
    assert (status, modules & HEAVY) == (0, set())


def test_the_list_of_commands_loads_none_of_them():
    status, modules = loaded("--help")
    assert (status, {name for name in modules if name.startswith(("cli.provider_", "engine"))}) == (0, set())
