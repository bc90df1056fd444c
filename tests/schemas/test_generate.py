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


VARIANT = {"spec": "tiffin/v1", "provider": "v", "revision": 1, "extends": "base@3"}


@pytest.mark.parametrize(
    ("more", "valid"),
    [({}, True), ({"feeds": {"stock": {"path": "x"}}}, True), ({"feds": {}}, False), ({"extends": "base"}, False)],
)
def test_editors_know_that_a_file_that_extends_another_holds_parts(more: dict[str, object], valid: bool) -> None:
    assert Draft202012Validator(schemas.schema("provider")).is_valid({**VARIANT, **more}) is valid


def test_editors_know_that_a_file_alone_is_whole() -> None:
    alone = {key: value for key, value in VARIANT.items() if key != "extends"}
    assert not Draft202012Validator(schemas.schema("provider")).is_valid(alone)
