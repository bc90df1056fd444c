"""tiffin bucket, against a real S3 server."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import tiffin

KEYS = {"TIFFIN_OBJECT_STORE_ACCESS_KEY": "k", "TIFFIN_OBJECT_STORE_SECRET_KEY": "hidden-word"}


def run(folder: Path, *arguments: str, **environment: str) -> Result:
    variables = {"TIFFIN_DATA": str(folder), **KEYS, **environment}
    return CliRunner().invoke(tiffin, ["bucket", *arguments], env=variables)


def on(endpoint: str, region: str = "us-east-1") -> dict[str, str]:
    return {
        "TIFFIN_OBJECT_STORE_URL": f"s3://own-{uuid.uuid4().hex[:12]}/payloads",
        "TIFFIN_OBJECT_STORE_ENDPOINT": endpoint,
        "TIFFIN_OBJECT_STORE_REGION": region,
    }


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_bucket_is_made_once_and_then_stands(tmp_path: Path, s3_url: str, region: str) -> None:
    place = on(s3_url, region)
    states = [json.loads(run(tmp_path, "--json", **place).stdout)["state"] for _ in range(2)]
    assert states == ["created", "stands"]


def test_a_folder_needs_none(tmp_path: Path) -> None:
    assert json.loads(run(tmp_path, "--json").stdout)["state"] == "folder"


def test_other_stores_than_s3_are_refused_with_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path, TIFFIN_OBJECT_STORE_URL="gs://own/payloads")
    assert done.exit_code == 1
    assert "its provider's own tools" in done.output


def test_a_store_that_is_away_is_told_without_its_key(tmp_path: Path) -> None:
    done = run(tmp_path, **on("http://127.0.0.1:1"))
    assert done.exit_code == 1
    assert "does not answer" in done.output
    assert "hidden-word" not in done.output
