"""Handshakes as frozen models: requests that prove an address and are no deliveries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from engine.auth_model import Host
from engine.model_base import Expression, Node, shape
from engine.recipe_model import Base64Part, BodyPart, DigestPart, FormPart, HeaderPart, JoinPart, QueryPart, ValuePart
from engine.reply_model import ReplySpec


class SecretPart(Node):
    """A secret of the connection, among the bytes of a handshake's hash."""

    secret: str = Field(description="The name of the connection's secret.")


HashPart = Annotated[
    Annotated[Literal["raw_body", "minified_body", "url", "endpoint", "method"], Tag("<text>")]
    | Annotated[SecretPart, Tag("<secret>")]
    | Annotated[HeaderPart, Tag("<header>")]
    | Annotated[QueryPart, Tag("<query>")]
    | Annotated[FormPart, Tag("<form>")]
    | Annotated[BodyPart, Tag("<body>")]
    | Annotated[JoinPart, Tag("<join>")]
    | Annotated[DigestPart, Tag("<digest>")]
    | Annotated[Base64Part, Tag("<base64>")]
    | Annotated[ValuePart, Tag("<value>")],
    shape("secret", "header", "query", "form", "body", "join", "digest", "base64", "value", otherwise="none"),
]
"""One part of the bytes of a handshake's hash; `endpoint` is the public URL without its query."""


class HandshakeHash(Node):
    """What proves that we know a secret: a hash over parts of the request, `$hash` in the reply."""

    algorithm: Literal["sha1", "sha256", "sha512"] = Field(description="Never taken from the request.")
    of: tuple[HashPart, ...] = Field(min_length=1, description="What is hashed, part by part.")
    key: str | None = Field(None, description="The name of the connection's secret that keys it: then an HMAC.")
    encoding: Literal["hex", "base64", "base64url"] = Field("hex", description="How it is written.")


class ShownUrl(Node):
    """An address that the operator is to open."""

    from_: Expression = Field(alias="from", description="The address.")
    hosts: tuple[Host, ...] = Field(
        min_length=1, description="The hosts that it may name over https; * stands for one label."
    )


Shown = Annotated[
    Annotated[Expression, Tag("<expression>")] | Annotated[ShownUrl, Tag("<from>")],
    shape(text="expression", otherwise="from"),
]


class Handshake(Node):
    """A request that proves an address and is no delivery: a ping, a challenge, a code."""

    path: str | None = Field(None, description="The last part of the URL; default: the URL of every feed.")
    method: str = Field("POST", pattern=r"^[A-Z]+$", description="The HTTP method.")
    accept: Literal["json", "form", "none"] | None = Field(
        None, description="The format of the body; default: none for GET and HEAD, else json."
    )
    content_type: str | None = Field(
        None, description="The media type that it must be labelled with, where it is not the format's own."
    )
    when: Expression = Field(description="Must be true for a request to be this handshake.")
    auth: Literal["none"] | None = Field(None, description="none: it comes unsigned; default: as the file's auth says.")
    hash: HandshakeHash | None = Field(None, description="A hash to answer with.")
    show: dict[str, Shown] = Field(default_factory=dict, description="What an operator must see, by name.")
    reply: ReplySpec = Field(description="The answer.")

    @property
    def format(self) -> str:
        """`accept` with its default."""
        return self.accept or ("none" if self.method in ("GET", "HEAD") else "json")
