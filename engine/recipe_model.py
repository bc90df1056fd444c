"""The parts of a recipe of the bytes to sign, as frozen models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from engine.model_base import Flag, Node, shape


class HeaderPart(Node):
    """A header, among the bytes to sign."""

    header: str = Field(description="The value of a header.")


class QueryPart(Node):
    """A query parameter, among the bytes to sign."""

    query: str = Field(description="The value of a query parameter.")


class FormPart(Node):
    """A form field, among the bytes to sign."""

    form: str = Field(description="The value of a field of the form in the body, decoded.")


class BodyPart(Node):
    """A value of the body, among the bytes to sign."""

    body: str = Field(description="The raw source text of a value in the JSON body, by dotted path.")
    default: str | None = Field(None, description="Where the body has no such value; without it the request fails.")


class SignaturePart(Node):
    """A part of the signature header, among the bytes to sign."""

    signature: str = Field(description="A named part of the structured signature header, such as t.")


class UrlPart(Node):
    """The configured URL in another spelling, among the bytes to sign."""

    url: Literal["with_port", "without_port", "decoded"] = Field(
        description="with_port: 443 or 80 written out; without_port: no port; decoded: %3A and the like of a query "
        "turned back into : / ? @ ! $ ' ( ) * , ;"
    )


class SortedParamsPart(Node):
    """All parameters, sorted, among the bytes to sign."""

    sorted_params: Literal["query", "form", "query_and_form"] = Field(
        description="Parameters sorted by name, then by value; the one that holds the signature is left out."
    )
    pair: str = Field("=", description="Between a name and its value.")
    between: str = Field("&", description="Between two pairs.")
    distinct: Flag = Field(False, description="Equal pairs count once.")
    lists: Literal["repeat", "json", "comma"] = Field(
        "repeat",
        description="A name that repeats: several pairs; json: one pair with a JSON list, without the [] of its name; "
        "comma: one pair, values joined by commas.",
    )
    escape: str = Field("", description="Characters that are written as %XX in names and values, such as %& .")


class LinesPart(Node):
    """Lines of names and values, among the bytes to sign."""

    lines: tuple[str, ...] = Field(
        min_length=1,
        description="Dotted body paths, in order: of each that is there its name and its value, each with a line feed.",
    )


class JoinPart(Node):
    """Other parts with a separator, among the bytes to sign."""

    join: tuple[RecipePart, ...] = Field(min_length=1, description="The parts.")
    between: str = Field(description="Between two parts.")


class DigestPart(Node):
    """A hash of the body, among the bytes to sign."""

    digest: Literal["md5", "sha1", "sha256", "sha512", "blake2b_512"] = Field(description="The hash function.")
    of: Literal["raw_body", "minified_body"] = Field("raw_body", description="What is hashed.")
    encoding: Literal["hex", "base64", "base64url"] = Field("hex", description="How the hash is written.")


class Base64Part(Node):
    """The base64 of other parts, among the bytes to sign."""

    base64: tuple[RecipePart, ...] = Field(description="The base64 of the parts within.")


class ValuePart(Node):
    """A literal, among the bytes to sign."""

    value: str = Field(description="Literal text.")


WholePart = Literal["raw_body", "minified_body", "url", "method", "secret"]
RecipePart = Annotated[
    Annotated[WholePart, Tag("<text>")]
    | Annotated[HeaderPart, Tag("<header>")]
    | Annotated[QueryPart, Tag("<query>")]
    | Annotated[FormPart, Tag("<form>")]
    | Annotated[BodyPart, Tag("<body>")]
    | Annotated[SignaturePart, Tag("<signature>")]
    | Annotated[UrlPart, Tag("<url>")]
    | Annotated[SortedParamsPart, Tag("<sorted_params>")]
    | Annotated[LinesPart, Tag("<lines>")]
    | Annotated[JoinPart, Tag("<join>")]
    | Annotated[DigestPart, Tag("<digest>")]
    | Annotated[Base64Part, Tag("<base64>")]
    | Annotated[ValuePart, Tag("<value>")],
    shape(
        "header", "query", "form", "body", "signature", "url", "sorted_params", "lines", "join", "digest", "base64",
        "value", otherwise="none",
    ),
]  # fmt: skip
"""One part of the bytes to sign. `secret` belongs to scheme hash alone."""
