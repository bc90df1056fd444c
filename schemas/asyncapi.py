"""asyncapi.json: what stands on the bus, made from the topics and the schemas."""

from __future__ import annotations

from typing import Any

import schemas
from bus.topics import CATALOG_COMMANDS, INTEGRATION_FAILURES

_MODE = (
    "CloudEvents 1.0 in binary mode: the value is the event's data, each attribute a header with the prefix `ce_` "
    "in UTF-8, `datacontenttype` the header `content-type`."
)


def asyncapi(version: str, bootstrap: str = "") -> dict[str, Any]:
    """The AsyncAPI 3.0 document. `bootstrap` is Kafka's host:port list; empty: no servers are named."""
    commands = [_command(name) for name in sorted(schemas.canon().commands)]
    messages = {
        **{command["name"]: command for command in commands},
        "Failure": _failure(),
    }
    channels = {
        "commands": _channel(CATALOG_COMMANDS, "Every canonical command.", [one["name"] for one in commands]),
        "failures": _channel(
            INTEGRATION_FAILURES,
            "Every failure; requests that did not verify and duplicates as sums of a minute.",
            ["Failure"],
        ),
    }
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {"title": "Tiffin", "version": version, "description": _MODE},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            name: {"action": "send", "channel": {"$ref": f"#/channels/{name}"}, "summary": channel["summary"]}
            for name, channel in channels.items()
        },
        "components": {
            "messages": messages,
            "schemas": {
                **{name: schemas.schema(f"commands/{name}.v1") for name in sorted(schemas.canon().commands)},
                "Failure": schemas.schema("failure"),
                "CommandHeaders": _headers("cloudevent"),
                "FailureHeaders": _headers("failure-event"),
            },
        },
    }
    if bootstrap:
        hosts = [host.strip() for host in bootstrap.split(",")]
        document["servers"] = {f"kafka{n}": {"host": host, "protocol": "kafka"} for n, host in enumerate(hosts)}
    return document


def _channel(topic: str, summary: str, messages: list[str]) -> dict[str, Any]:
    return {
        "address": topic,
        "summary": summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}},
    }


def _command(name: str) -> dict[str, Any]:
    key = "The tenant and the store, else the tenant and the merchant."
    return _message(name, f"tiffin.{name}.v1", schemas.schema(f"commands/{name}.v1"), "CommandHeaders", name, key)


def _failure() -> dict[str, Any]:
    key = "The tenant, or the provider where no tenant is known."
    return _message("Failure", "tiffin.Failure.v1", schemas.schema("failure"), "FailureHeaders", "Failure", key)


def _message(name: str, type_: str, schema: dict[str, Any], headers: str, payload: str, key: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": type_,
        "summary": schema["description"],
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": f"#/components/schemas/{headers}"},
                {"properties": {"ce_type": {"const": type_}}},
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{payload}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}},
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
