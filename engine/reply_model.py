"""Replies as frozen models: documents of literals with expressions in them, by what a delivery came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from engine.model_base import Expression, Node, Whole, lenient


class Rendered(Node):
    """A part of a reply that an expression makes."""

    expr: Expression = Field(description="Its value stands here; where it has none, the part is left out.")


def _template(value: Any) -> str:
    if isinstance(value, Rendered):
        return "<expr>"
    if isinstance(value, Mapping):
        return "<expr>" if "expr" in value else "<map>"
    return "<list>" if isinstance(value, list) else "<literal>"


if TYPE_CHECKING:
    Template = Any
else:
    Template = TypeAliasType(
        "Template",
        Annotated[
            Annotated[Rendered, Tag("<expr>")]
            | Annotated[dict[str, "Template"], Tag("<map>")]
            | Annotated[list["Template"], Tag("<list>")]
            | Annotated[Any, Tag("<literal>")],
            Discriminator(_template),
            Field(description="A document of literals, in which {expr: …} stands for what an expression makes."),
        ],
    )

TextBody = Annotated[Annotated[Rendered, Tag("<expr>")] | Annotated[str, Tag("<literal>")], Discriminator(_template)]


class ReplySpec(Node):
    """An answer: status, headers and one of json, text, xml, empty."""

    status: Whole = Field(200, ge=100, le=599, description="The HTTP status.")
    headers: dict[str, str] = Field(default_factory=dict, description="More headers; Content-Type replaces the usual.")
    json_: Template = Field(None, alias="json", description="A document, with {expr: …} for what is computed.")
    text: TextBody | None = Field(None, description="Literal text, or {expr: …}.")
    xml: dict[str, Template] | None = Field(
        None,
        description="The root element: elements by name, @name an attribute, #text the text beside "
        "attributes, a list for an element that stands several times.",
    )
    empty: Literal[True] | None = Field(None, description="No body.")

    @model_validator(mode="after")
    def _one(self, info: ValidationInfo) -> ReplySpec:
        if sum(v is not None for v in (self.json_, self.text, self.xml, self.empty)) > 1 and not lenient(info):
            raise PydanticCustomError("one_body", "a reply has one body: json, text, xml or empty")
        return self


class Replies(Node):
    """Answers by what a delivery came to; the nearest wins: the event's, the feed's, the file's."""

    accepted: ReplySpec | None = Field(
        None, description="The work is done; also for the next five where they say nothing."
    )
    partial: ReplySpec | None = Field(None, description="Some elements failed.")
    duplicate: ReplySpec | None = Field(None, description="The message was taken before.")
    stale: ReplySpec | None = Field(None, description="Newer updates were taken before.")
    ignored: ReplySpec | None = Field(None, description="The file says that this message is of no interest.")
    parked: ReplySpec | None = Field(None, description="A person must decide.")
    rejected: ReplySpec | None = Field(None, description="The message is at fault.")
    failed: ReplySpec | None = Field(None, description="Tiffin could not do the work.")
    unauthorized: ReplySpec | None = Field(None, description="The request does not prove its sender; default 401.")
    busy: ReplySpec | None = Field(None, description="Too much waits; default 503 with Retry-After.")
    unavailable: ReplySpec | None = Field(None, description="The store is away; default 503 with Retry-After.")
