"""The events of the views: every schema is sound and its examples hold."""

import pytest
from jsonschema import Draft202012Validator

import schemas
from bus.topics import TOPICS


@pytest.mark.parametrize("name", schemas.event_names())
def test_a_schema_is_sound_and_its_examples_hold(name: str) -> None:
    schema = schemas.schema(f"events/{name}.v1")
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"https://tiffin.dev/schemas/events/{name}.v1.schema.json"
    assert schema["x-topic"] in TOPICS
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)
