from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import schemas
from engine.yaml12 import compose
from schemas.generate import ROOT, outdated

FILES = sorted((ROOT / "providers").glob("*.yaml"))


def test_generated_files_are_current() -> None:
    assert outdated() == []


def test_the_provider_schema_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(schemas.schema("provider"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_provider_file_is_valid_by_the_schema_that_editors_use(file: Path) -> None:
    data = json.loads(json.dumps(compose(file.read_text(), file.name).data))
    assert list(Draft202012Validator(schemas.schema("provider")).iter_errors(data)) == []


@pytest.mark.parametrize("key", ["extends", "handshakes", "fetch"])
def test_keys_that_are_not_built_are_not_offered(key: str) -> None:
    defined = json.dumps(schemas.schema("provider")["$defs"]) + json.dumps(
        list(schemas.schema("provider")["properties"])
    )
    assert f'"{key}":' not in defined
