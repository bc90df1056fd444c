"""What every model of the provider language is made of."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Strict, ValidationInfo

Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]


def lenient(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("lenient"))


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

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)
