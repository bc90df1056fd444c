"""The `fetch` block of a rule as frozen models: what is asked of the provider after a thin event."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from engine.model_base import Constant, Duration, Expression, Flag, Node, Whole, lenient, shape


class FetchAuth(Node):
    """The secret of the connection that a request to the provider carries."""

    secret: str = Field(description="The name of the connection's secret.")
    header: str = Field("Authorization", pattern=r"^[A-Za-z][A-Za-z0-9-]*$", description="The header it stands in.")
    prefix: str = Field("", description='Text before the secret, such as "Bearer ".')


class Paging(Node):
    """Where the next page is: exactly one of cursor, next, link, number and offset."""

    cursor: Expression | None = Field(None, description="Over the page: what the next one is asked with; none: last.")
    next: Expression | None = Field(None, description="Over the page: the next one's path or URL; none: last.")
    link: Flag = Field(False, description="The next page is the Link header's rel=next (RFC 8288).")
    number: Flag = Field(False, description="Pages are counted from 1 on, as long as `more` is true.")
    offset: Expression | None = Field(
        None, description="Over the page: how many it has. The next one is asked from the sum on; 0 or none: last."
    )
    as_: str | None = Field(
        None, alias="as", description="With cursor, number and offset: the query parameter, or the body's member."
    )
    more: Expression | None = Field(None, description="With number: over the page, whether another one follows.")

    @model_validator(mode="after")
    def _one(self, info: ValidationInfo) -> Paging:
        if lenient(info):
            return self
        named = (self.cursor is not None, self.number, self.offset is not None)
        if sum((*named, self.next is not None, self.link)) != 1:
            reason = "exactly one of cursor, next, link, number and offset says what follows"
            raise PydanticCustomError("one_paging", reason)
        if any(named) != (self.as_ is not None) or self.number != (self.more is not None):
            reason = "cursor and offset go with as; number goes with as and more"
            raise PydanticCustomError("paging_incomplete", reason)
        return self


FetchValue = Annotated[
    Annotated[Expression, Tag("<expression>")] | Annotated[Constant, Tag("<value>")],
    shape("value", text="expression", otherwise="value"),
]
"""An expression, or a literal as `{value: 100}`."""


class Fetch(Node):
    """An authenticated request to the provider, whose answers are received as deliveries of a feed.

    Expressions over the command see its fields as they are on the bus, and `since`: when the last complete fetch of
    the same thing began, less a minute, where the command itself does not say.
    """

    url: str = Field(description="Where to ask, over https. No other host is ever asked, and no redirect followed.")
    method: Literal["GET", "POST"] = Field("GET", description="POST: a search, which changes nothing.")
    at: Expression | None = Field(
        None, description="Over the command's fields: a path or URL, as in href, resolved against `url`; same host."
    )
    query: dict[str, FetchValue] = Field(
        default_factory=dict, description="Query parameters, over the command's fields; undefined or empty: left out."
    )
    body: dict[str, FetchValue] = Field(
        default_factory=dict, description="With POST: members of the JSON body, over the command's fields; as query."
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Headers, literally.")
    auth: FetchAuth | None = Field(None, description="How the request proves who asks; none: it does not.")
    feed: str = Field(description="The feed that receives each page.")
    pages: Paging | None = Field(None, description="Where the next page is; none: there is one page.")
    most: Whole = Field(1000, ge=1, le=100_000, description="The most pages of one fetch.")
    rate: Whole = Field(5, ge=1, le=1000, description="The most requests a second for one connection.")
    every: Duration | None = Field(None, description="Asks by itself too, so often, for each connection.")

    @model_validator(mode="after")
    def _posted(self, info: ValidationInfo) -> Fetch:
        if self.body and self.method != "POST" and not lenient(info):
            raise PydanticCustomError("body_without_post", "only a POST has a body")
        return self
