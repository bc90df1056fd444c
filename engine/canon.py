"""The canonical commands as the interpreter needs them: fields, readers, identities, checks.

The schemas are handed in; nothing is read from disk here. `x-identity` and `x-reader` in a schema are the
only places that say which fields are identities and how a field is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class FieldSchema:
    """One field of a command or of an object within one.

    `items` is, for a list, the schema of a scalar item or the fields of an object item; None otherwise.
    `enum` holds the allowed values without null, () for any.
    """

    name: str
    reader: str | None
    identity: str | None
    required: bool
    is_list: bool
    items: FieldSchema | Mapping[str, FieldSchema] | None
    enum: tuple[Any, ...]
    nullable: bool
    description: str


def _validator(schema: Schema) -> Any:
    # Loaded with the first command: an idle server needs neither the library nor what it compiles.
    import jsonschema_rs

    return jsonschema_rs.validator_for(dict(schema))


class CommandSchema:
    """One canonical command. `subject` lists the identity fields that may name the entity, best first."""

    def __init__(self, name: str, schema: Schema) -> None:
        self.name = name
        self.schema = schema
        self.subject: tuple[str, ...] = tuple(schema.get("x-subject", ()))
        self.fields = _fields(schema)
        self.required: frozenset[str] = frozenset(schema.get("required", ()))
        self.one_of: tuple[str, ...] = tuple(branch["required"][0] for branch in schema.get("anyOf", ()))

    @cached_property
    def _one(self) -> Any:
        return _validator(self.schema)

    @cached_property
    def _many(self) -> Any:
        return _validator({"type": "array", "items": dict(self.schema)})

    def valid(self, data: Mapping[str, Any]) -> bool:
        return bool(self._one.is_valid(data))

    def valid_many(self, commands: list[dict[str, Any]]) -> bool:
        """One answer for all of them: a single call costs far less than one a command."""
        return bool(self._many.is_valid(commands))

    def explain(self, data: Mapping[str, Any]) -> list[tuple[str, str]]:
        """(dotted path with indices, sentence) of everything that the schema forbids; [] if `valid`."""
        errors = sorted(self._slow.iter_errors(data), key=lambda error: list(map(str, error.path)))
        if errors:
            return [_explained(error) for error in errors]
        # The gate decides. The two differ where Python's `$` lets a line feed stand at the end.
        return [(_dotted(error.instance_path), error.message) for error in self._one.iter_errors(data)]

    @cached_property
    def _slow(self) -> Any:
        # It is only loaded to explain: most processes never need to.
        from jsonschema import Draft202012Validator

        return Draft202012Validator(dict(self.schema))


class Canon:
    """All canonical commands, from their JSON Schemas by command name."""

    def __init__(self, commands: Mapping[str, Schema]) -> None:
        self.commands: Mapping[str, CommandSchema] = {
            name: CommandSchema(name, schema) for name, schema in commands.items()
        }


def _fields(schema: Schema) -> dict[str, FieldSchema]:
    required = schema.get("required", ())
    return {name: _field(name, one, name in required) for name, one in schema.get("properties", {}).items()}


def _field(name: str, schema: Schema, required: bool) -> FieldSchema:
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    is_list = "array" in kinds
    enum = tuple(value for value in schema.get("enum", ()) if value is not None)
    return FieldSchema(
        name,
        schema.get("x-reader"),
        schema.get("x-identity"),
        required,
        is_list,
        _items(name, schema["items"]) if is_list else None,
        enum,
        "null" in kinds or None in schema.get("enum", ()),
        schema.get("description", ""),
    )


def _items(name: str, schema: Schema) -> FieldSchema | Mapping[str, FieldSchema]:
    return _fields(schema) if schema.get("type") == "object" else _field(name, schema, True)


def _dotted(steps: Iterable[str | int]) -> str:
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _explained(error: Any) -> tuple[str, str]:
    path = _dotted(error.absolute_path)
    if error.validator == "anyOf":
        names = [branch["required"][0] for branch in error.validator_value]
        return path, f"one of {', '.join(names)} is a required property"
    if error.instance is None:
        return path, "null is not allowed here"
    if error.validator == "pattern":
        return path, f"{_short(error.instance)} does not have the canonical form"
    if error.validator == "enum":
        allowed = ", ".join(repr(v) for v in error.validator_value if v is not None)
        return path, f"{_short(error.instance)} is not one of {allowed}"
    return path, error.message if len(error.message) < 300 else f"{error.message[:300]}…"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) < 100 else f"{shown[:100]}…"
