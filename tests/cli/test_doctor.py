from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import tiffin
from cli.upkeep import doctor
from tests import postgres
from tests.flows.scenery import settings_in


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Runs the doctor on a set-up with a connection; returns what is wrong as {problem: next step}."""
    settings = settings_in(tmp_path)
    monkeypatch.chdir(tmp_path)

    def tell(loosened: Path | None = None, **environment: str) -> dict[str, str]:
        variables = {"TIFFIN_DATA": str(settings.data), "TIFFIN_PROVIDERS": str(settings.providers), **environment}
        os.chmod(settings.data, 0o700)
        if loosened is not None:
            loosened.chmod(0o755)
        done = CliRunner().invoke(doctor, ["--json"], env=variables)
        findings = json.loads(done.stdout)
        wrong = {one["problem"]: one["next_step"] for one in findings if not one["ok"]}
        assert done.exit_code == (1 if wrong else 0)
        return wrong

    tell.settings = settings
    return tell


def only(wrong: dict[str, str]) -> tuple[str, str]:
    assert len(wrong) == 1, wrong
    return next(iter(wrong.items()))


def test_a_sound_embedded_set_up_has_nothing_wrong(told) -> None:
    assert told() == {}


def test_a_secret_key_that_is_gone_is_named_with_its_file(told) -> None:
    (told.settings.data / "secret.key").unlink()
    problem, todo = only(told())
    assert "secret.key is gone" in problem
    assert "Bring it back" in todo


def test_a_key_that_does_not_open_the_secrets_is_found(told) -> None:
    problem, _ = only(told(TIFFIN_SECRET_KEY=postgres.KEY))
    assert "does not open" in problem


def test_a_folder_without_providers_is_found(told, tmp_path) -> None:
    (tmp_path / "none").mkdir()
    problem, todo = only(told(TIFFIN_PROVIDERS=str(tmp_path / "none")))
    assert (problem, "TIFFIN_PROVIDERS" in todo) == ("there are none", True)


def test_a_disk_that_is_nearly_full_is_found(told, monkeypatch) -> None:
    import shutil

    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5 << 20))
    problem, _ = only(told())
    assert problem == "5 MB are free on its disk"


def test_a_folder_that_cannot_be_written_is_found(told, monkeypatch) -> None:
    import tempfile

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    problem, todo = only(told())
    assert "Permission denied" in problem
    assert "user who runs Tiffin" in todo


def on(url: str) -> dict[str, str]:
    return {"TIFFIN_DATABASE_URL": url, "TIFFIN_SECRET_KEY": postgres.KEY}


def test_a_sound_set_up_on_postgres_has_nothing_wrong(told, postgres_database: str) -> None:
    assert told(**on(postgres_database)) == {}


def test_a_database_that_is_away_is_told_without_its_password(told) -> None:
    problem, todo = only(told(**on("postgresql://tiffin:hidden-word@127.0.0.1:1/tiffin")))
    assert problem.startswith("away: ")
    assert "hidden-word" not in problem + todo
    assert "TIFFIN_DATABASE_URL" in todo


def test_a_database_without_tables_wants_migrating(told, postgres_url: str) -> None:
    with postgres.database(postgres_url, migrated=False) as url:
        problem, todo = only(told(**on(url)))
    assert problem.startswith("schema None, needed")
    assert todo == "tiffin migrate"


def test_a_server_database_without_a_secret_key_is_told(told, postgres_database: str) -> None:
    problem, _ = only(told(TIFFIN_DATABASE_URL=postgres_database))
    assert "TIFFIN_SECRET_KEY is not set" in problem


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("synchronous_commit = off", "synchronous_commit is off"),
        ("default_transaction_read_only = on", "it is read-only"),
    ],
)
def test_settings_that_lose_or_refuse_writes_are_found(told, postgres_url: str, setting: str, said: str) -> None:
    with postgres.database(postgres_url) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f'ALTER DATABASE "{name}" SET {setting}')
        problem, _ = only(told(**on(url)))
    assert problem.startswith(said)


def test_too_few_connections_for_a_worker_are_found(told, postgres_database: str) -> None:
    problem, todo = only(told(**on(postgres_database), TIFFIN_DATABASE_POOL="1000"))
    assert "connections" in problem
    assert "TIFFIN_DATABASE_POOL" in todo


def test_every_problem_is_told_at_once(told, tmp_path) -> None:
    (tmp_path / "none").mkdir()
    (told.settings.data / "secret.key").unlink()
    assert len(told(TIFFIN_PROVIDERS=str(tmp_path / "none"))) == 2


def objects_on(url: str, bucket: str = "doctor") -> dict[str, str]:
    return {
        "TIFFIN_OBJECT_STORE_URL": f"s3://{bucket}/payloads",
        "TIFFIN_OBJECT_STORE_ENDPOINT": url,
        "TIFFIN_OBJECT_STORE_REGION": "us-east-1",
        "TIFFIN_OBJECT_STORE_ACCESS_KEY": "k",
        "TIFFIN_OBJECT_STORE_SECRET_KEY": "hidden-word",
    }


def test_a_bucket_that_is_missing_is_told_with_how_to_make_it(told, s3_url: str) -> None:
    environment = objects_on(s3_url, f"doctor-{uuid.uuid4().hex[:12]}")
    problem, todo = only(told(**environment))
    assert problem.startswith("there is no bucket")
    assert todo == "tiffin bucket"
    assert CliRunner().invoke(tiffin, ["bucket"], env=environment).exit_code == 0
    assert told(**environment) == {}


def test_an_object_store_that_is_away_is_told_without_its_key(told) -> None:
    problem, todo = only(told(**objects_on("http://127.0.0.1:1")))
    assert problem.startswith("away: ")
    assert "TIFFIN_OBJECT_STORE_URL" in todo
    assert "hidden-word" not in problem + todo


def test_a_redis_that_is_away_is_told_without_its_password(told) -> None:
    problem, todo = only(told(TIFFIN_REDIS_URL="redis://:hidden-word@127.0.0.1:1/0"))
    assert problem.startswith("does not answer")
    assert "hidden-word" not in problem + todo
    assert "TIFFIN_REDIS_URL" in todo


def test_a_redis_url_that_is_none_is_told(told) -> None:
    problem, todo = only(told(TIFFIN_REDIS_URL="127.0.0.1:6379"))
    assert problem.startswith("does not answer")
    assert "TIFFIN_REDIS_URL" in todo


def test_a_kafka_that_is_away_is_told(told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.kafka_topics.SECONDS", 0.5)
    _, todo = only(told(TIFFIN_KAFKA_BOOTSTRAP="127.0.0.1:1"))
    assert "TIFFIN_KAFKA_BOOTSTRAP" in todo


def test_topics_that_are_missing_are_told(told, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.TOPICS", (f"doctor-{uuid.uuid4().hex}",))
    problem, todo = only(told(TIFFIN_KAFKA_BOOTSTRAP=kafka_bootstrap))
    assert "topic doctor-" in problem
    assert todo.startswith("tiffin topics")


def test_a_schema_of_a_newer_tiffin_is_told(told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stores.schema.latest_version", lambda: "0001")
    problem, todo = only(told())
    assert "knows up to 0001" in problem
    assert todo == "Install a newer Tiffin."


def test_a_provider_file_that_does_not_load_is_told(told) -> None:
    (told.settings.providers / "broken.yaml").write_text("spec: tiffin/v1\nprovider: [\n")
    _, todo = only(told())
    assert todo == "tiffin provider check"


def test_a_data_folder_that_is_a_file_is_told(told, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert "is not a folder" in told(TIFFIN_DATA=str(file))


@pytest.mark.parametrize("what", ["data", "secret.key"])
def test_what_others_may_read_is_told(told, what: str) -> None:
    path = told.settings.data if what == "data" else told.settings.data / what
    problem, todo = only(told(loosened=path))
    assert "others may read" in problem
    assert todo.startswith("chmod")


def test_traces_without_their_packages_are_told(told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "flows.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    _, todo = only(told(TIFFIN_TRACES="http://127.0.0.1:4318"))
    assert "tiffin[traces]" in todo
