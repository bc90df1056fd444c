"""The failure record and the commands' envelope: what the engine writes is what the schemas say."""

from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

import schemas
from engine.failures import Failure

FAILURE = Failure("mapping", "unmapped", "The store is not mapped.", "Map it.", facts={"kind": "store"})


@pytest.mark.parametrize("name", ["failure", "cloudevent", "failure-event", "view-event"])
def test_a_schema_is_sound(name: str) -> None:
    Draft202012Validator.check_schema(schemas.schema(name))


@pytest.mark.parametrize("name", ["failure", "cloudevent"])
def test_its_examples_are_valid(name: str) -> None:
    schema = schemas.schema(name)
    assert [list(Draft202012Validator(schema).iter_errors(one)) for one in schema["examples"]] == [[]]


def test_a_failure_of_the_engine_is_valid() -> None:
    Draft202012Validator(schemas.schema("failure")).validate(orjson.loads(orjson.dumps(FAILURE.to_json())))


@pytest.mark.parametrize(
    "change",
    [{"class": "other"}, {"code": "Not A Code"}, {"next_step": ""}, {"element": -1}, {"secret": "x"}],
)
def test_a_failure_of_another_shape_is_not_valid(change: dict[str, Any]) -> None:
    assert not Draft202012Validator(schemas.schema("failure")).is_valid({**FAILURE.to_json(), **change})


@pytest.mark.parametrize(
    "change",
    [{"specversion": "0.3"}, {"id": "1"}, {"type": "UpdatePrice"}, {"specrevision": "1"}, {"extra": 1}],
)
def test_an_envelope_of_another_shape_is_not_valid(change: dict[str, Any]) -> None:
    schema = schemas.schema("cloudevent")
    assert not Draft202012Validator(schema).is_valid({**schema["examples"][0], **change})
