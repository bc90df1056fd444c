from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

import schemas
from bus.cloudevents import to_binary
from bus.topics import TOPICS
from schemas.asyncapi import asyncapi

DOCUMENT = asyncapi("1")


def refs(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from refs(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from refs(inner)


def test_every_reference_leads_somewhere() -> None:
    for ref in set(refs(DOCUMENT)):
        part: Any = DOCUMENT
        for step in ref.removeprefix("#/").split("/"):
            part = part[step]


def test_every_canonical_command_is_a_message_of_the_topic_of_commands() -> None:
    channel = DOCUMENT["channels"]["catalog_commands"]
    assert channel["address"] == "catalog.commands"
    assert set(channel["messages"]) == set(schemas.canon().commands)


def test_every_topic_that_is_made_is_a_channel() -> None:
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == set(TOPICS)


@pytest.mark.parametrize(
    ("envelope", "headers"),
    [("cloudevent", "CommandHeaders"), ("view-event", "EventHeaders"), ("failure-event", "FailureHeaders")],
)
def test_the_headers_of_a_record_are_as_described(envelope: str, headers: str) -> None:
    example = schemas.schema(envelope)["examples"][0]
    record = {name: raw.decode() for name, raw in to_binary(orjson.dumps(example))[0]}
    described = DOCUMENT["components"]["schemas"][headers]
    Draft202012Validator(described).validate(record)
    assert set(record) <= set(described["properties"])


def test_servers_are_named_where_kafka_is_set() -> None:
    assert asyncapi("1", "k1:9092, k2:9092")["servers"] == {
        "kafka0": {"host": "k1:9092", "protocol": "kafka"},
        "kafka1": {"host": "k2:9092", "protocol": "kafka"},
    }
