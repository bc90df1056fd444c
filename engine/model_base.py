"""What every model of the provider language is made of: nodes, expressions, durations, unions by key.

See engine/model.py for the language itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Strict,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from engine.places import Place, Scalar

_NOWHERE = Place("", 1, 1)


class Expression:
    """JSONata source text with its place. Equal and hashable by text."""

    __slots__ = ("scalar",)

    def __init__(self, scalar: Scalar) -> None:
        self.scalar = scalar

    @property
    def text(self) -> str:
        return str(self.scalar)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    @classmethod
    def read(cls, value: object) -> Expression:
        """An expression from a scalar of the file, or from plain text (which then has no place)."""
        if isinstance(value, Expression):
            return value
        if isinstance(value, Scalar):
            return cls(value)
        if isinstance(value, str):
            return cls(Scalar(value, value, _NOWHERE, ""))
        raise PydanticCustomError("expression_expected", "a JSONata expression is expected here")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read, serialization=core_schema.plain_serializer_function_ser_schema(lambda e: e.text)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "description": "A JSONata expression.", "x-jsonata": True}


def lenient(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("lenient"))


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(value: object) -> object:
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,6})([smhd])", value)):
        return int(found[1]) * _UNITS[found[2]]
    if type(value) is int and value >= 0:
        return value
    raise PydanticCustomError("duration_expected", "a duration is expected, such as 30s, 10m, 2h or 1d")


Duration = Annotated[
    int,
    BeforeValidator(seconds_of, json_schema_input_type=Annotated[str, Field(pattern=r"^\d{1,6}[smhd]$")]),
]
"""Seconds, written as `30s`, `10m`, `2h`, `1d`."""


def percent_of(value: object) -> object:
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,3})%", value)) and int(found[1]) <= 100:
        return int(found[1])
    if type(value) is int and 0 <= value <= 100:
        return value
    raise PydanticCustomError("percent_expected", "a part is expected in percent, such as 30%")


Percent = Annotated[
    int,
    BeforeValidator(percent_of, json_schema_input_type=Annotated[str, Field(pattern=r"^\d{1,3}%$")]),
]
"""0 to 100, written as `30%`."""


Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]


def shape(*keys: str, text: str = "text", otherwise: str = "other") -> Discriminator:
    """Tells the members of a union apart by the first of these keys, so that one mistake gives one problem.

    Tags stand in angle brackets: no key of the language does, so they never pass for a step of the file.
    """

    def tag(value: Any) -> str:
        if isinstance(value, BaseModel):
            names = {field.alias or name for name, field in type(value).model_fields.items()}
            return next((f"<{key}>" for key in keys if key in names), f"<{otherwise}>")
        if isinstance(value, Mapping):
            return next((f"<{key}>" for key in keys if key in value), f"<{nearest(value, keys) or otherwise}>")
        return f"<{text}>"

    return Discriminator(tag)


def nearest(value: Mapping[Any, Any], keys: tuple[str, ...]) -> str | None:
    near = (difflib.get_close_matches(str(key), keys, 1, 0.7) for key in value)
    return next((found[0] for found in near if found), None)


class Node(BaseModel):
    """A mapping of the provider file. Unknown keys are errors; nothing can be changed."""

    model_config = ConfigDict(
        defer_build=True, extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True
    )


class Constant(Node):
    """A literal where an expression may stand."""

    value: Any = Field(description="A literal.")
