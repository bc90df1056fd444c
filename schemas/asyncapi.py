"""asyncapi.json: what stands on the bus, made from the topics and the schemas."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import schemas
from bus.topics import CATALOG_COMMANDS, INTEGRATION_FAILURES

_MODE = (
    "CloudEvents 1.0 in binary mode: the value is the event's data, each attribute a header with the prefix `ce_` "
    "in UTF-8, `datacontenttype` the header `content-type`."
)
_COMMAND_KEY = "The tenant and the store, else the tenant and the merchant."
_SUMMARIES = {
    CATALOG_COMMANDS: "Every canonical command.",
    INTEGRATION_FAILURES: "Every failure; requests that did not verify and duplicates as sums of a minute.",
}


class _Kind(NamedTuple):
    """A kind of message: its name, where it stands, its data's schema, and what its key is."""

    name: str
    topic: str
    schema: str
    headers: str
    key: str


def asyncapi(version: str, bootstrap: str = "") -> dict[str, Any]:
    """The AsyncAPI 3.0 document. `bootstrap` is Kafka's host:port list; empty: no servers are named."""
    kinds = _kinds()
    by_topic: dict[str, list[_Kind]] = defaultdict(list)
    for kind in kinds:
        by_topic[kind.topic].append(kind)
    channels = {topic.replace(".", "_"): _channel(topic, own) for topic, own in by_topic.items()}
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {"title": "Tiffin", "version": version, "description": _MODE},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            f"send_{name}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": channel["summary"],
            }
            for name, channel in channels.items()
        },
        "components": {
            "messages": {kind.name: _message(kind) for kind in kinds},
            "schemas": {
                **{kind.name: schemas.schema(kind.schema) for kind in kinds},
                "CommandHeaders": _headers("cloudevent"),
                "EventHeaders": _headers("view-event"),
                "FailureHeaders": _headers("failure-event"),
            },
        },
    }
    if bootstrap:
        hosts = [host.strip() for host in bootstrap.split(",")]
        document["servers"] = {f"kafka{n}": {"host": host, "protocol": "kafka"} for n, host in enumerate(hosts)}
    return document


def _kinds() -> list[_Kind]:
    commands = [
        _Kind(name, CATALOG_COMMANDS, f"commands/{name}.v1", "CommandHeaders", _COMMAND_KEY)
        for name in sorted(schemas.canon().commands)
    ]
    events = [
        _Kind(name, schemas.schema(f"events/{name}.v1")["x-topic"], f"events/{name}.v1", "EventHeaders", _COMMAND_KEY)
        for name in schemas.event_names()
    ]
    key = "The tenant, or the provider where no tenant is known."
    return [*commands, *events, _Kind("Failure", INTEGRATION_FAILURES, "failure", "FailureHeaders", key)]


def _channel(topic: str, kinds: list[_Kind]) -> dict[str, Any]:
    return {
        "address": topic,
        "summary": _SUMMARIES.get(topic, "What the views found to have changed."),
        "messages": {kind.name: {"$ref": f"#/components/messages/{kind.name}"} for kind in kinds},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}},
    }


def _message(kind: _Kind) -> dict[str, Any]:
    type_ = f"tiffin.{kind.name}.v1"
    return {
        "name": kind.name,
        "title": type_,
        "summary": schemas.schema(kind.schema)["description"],
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": f"#/components/schemas/{kind.headers}"},
                {"properties": {"ce_type": {"const": type_}}},
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{kind.name}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": kind.key}, "bindingVersion": "0.5.0"}},
    }


def _headers(envelope: str) -> dict[str, Any]:
    """The headers of a record, from the schema of its event in structured mode. All are text on Kafka."""
    schema = schemas.schema(envelope)
    names = [name for name in schema["properties"] if name != "data"]
    return {
        "type": "object",
        "required": [_header(name) for name in names if name in schema["required"]],
        "properties": {_header(name): _text(schema["properties"][name]) for name in names},
    }


def _header(attribute: str) -> str:
    return "content-type" if attribute == "datacontenttype" else f"ce_{attribute}"


def _text(attribute: dict[str, Any]) -> dict[str, Any]:
    if attribute.get("type") != "integer":
        return attribute
    said = {"description": attribute["description"]} if "description" in attribute else {}
    return {"type": "string", "pattern": "^[1-9][0-9]*$", **said}
