"""The provider file as frozen pydantic models: the one description of the provider language.

`schemas/provider.schema.json` and the reference in docs/ are generated from these models. A string in an
expression's place becomes an `Expression`; everything else is literal. Keys that are not built yet are
declared as `Unbuilt` and refuse to load. Every union chooses its member by the keys that are written, so
that one mistake is one error.

With the validation context `{"lenient": True}` what several keys must agree on is not looked at, and keys
that are not built yet pass: the checker then finds what else is wrong in a file that does not load.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Strict,
    Tag,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from engine.places import Place, Scalar

Kind = Literal["merchant", "store", "item", "variant", "category", "addon_group", "addon", "order"]
Family = Literal["pos", "erp", "seller", "admin"]

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


def _lenient(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("lenient"))


def _not_built(value: object, info: ValidationInfo) -> object:
    if _lenient(info):
        return None
    raise PydanticCustomError("not_built", "this key is part of the provider language but is not built yet")


Unbuilt = Annotated[None, BeforeValidator(_not_built)]


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


def _shape(*keys: str, text: str = "text", otherwise: str = "other") -> Discriminator:
    """Tells the members of a union apart by the first of these keys, so that one mistake gives one problem.

    Tags stand in angle brackets: no key of the language does, so they never pass for a step of the file.
    """

    def tag(value: Any) -> str:
        if isinstance(value, BaseModel):
            names = {field.alias or name for name, field in type(value).model_fields.items()}
            return next((f"<{key}>" for key in keys if key in names), f"<{otherwise}>")
        if isinstance(value, Mapping):
            return next((f"<{key}>" for key in keys if key in value), f"<{_nearest(value, keys) or otherwise}>")
        return f"<{text}>"

    return Discriminator(tag)


def _nearest(value: Mapping[Any, Any], keys: tuple[str, ...]) -> str | None:
    near = (difflib.get_close_matches(str(key), keys, 1, 0.7) for key in value)
    return next((found[0] for found in near if found), None)


class Node(BaseModel):
    """A mapping of the provider file. Unknown keys are errors; nothing can be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


class Defaults(Node):
    """What holds where neither the payload nor the connection says otherwise."""

    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$", description="ISO 4217 code of money without a currency.")
    unit: str | None = Field(None, description="Unit of quantities without a unit, such as each or kg.")
    time_zone: str | None = Field(None, description="IANA zone of times without a zone, such as Asia/Kolkata.")


# ---- authentication ----


class HeaderPart(Node):
    """A header, among the bytes to sign."""

    header: str = Field(description="The value of a header.")


class QueryPart(Node):
    """A query parameter, among the bytes to sign."""

    query: str = Field(description="The value of a query parameter.")


class BodyPart(Node):
    """A value of the body, among the bytes to sign."""

    body: str = Field(description="The raw source text of a value in the JSON body, by dotted path.")


class SignaturePart(Node):
    """A part of the signature header, among the bytes to sign."""

    signature: str = Field(description="A named part of the structured signature header, such as t.")


class SortedParamsPart(Node):
    """All parameters, sorted, among the bytes to sign."""

    sorted_params: Literal["query", "form", "query_and_form"] = Field(description="Parameters sorted by name.")
    pair: str = Field("=", description="Between a name and its value.")
    between: str = Field("&", description="Between two pairs.")


class DigestPart(Node):
    """A hash of the body, among the bytes to sign."""

    digest: Literal["sha1", "sha256", "sha512"] = Field(description="The hash of the raw body.")
    encoding: Literal["hex", "base64", "base64url"] = Field("hex", description="How the hash is written.")


class Base64Part(Node):
    """The base64 of other parts, among the bytes to sign."""

    base64: tuple[RecipePart, ...] = Field(description="The base64 of the parts within.")


class ValuePart(Node):
    """A literal, among the bytes to sign."""

    value: str = Field(description="Literal text.")


WholePart = Literal["raw_body", "minified_body", "url", "method"]
RecipePart = Annotated[
    Annotated[WholePart, Tag("<text>")]
    | Annotated[HeaderPart, Tag("<header>")]
    | Annotated[QueryPart, Tag("<query>")]
    | Annotated[BodyPart, Tag("<body>")]
    | Annotated[SignaturePart, Tag("<signature>")]
    | Annotated[SortedParamsPart, Tag("<sorted_params>")]
    | Annotated[DigestPart, Tag("<digest>")]
    | Annotated[Base64Part, Tag("<base64>")]
    | Annotated[ValuePart, Tag("<value>")],
    _shape("header", "query", "body", "signature", "sorted_params", "digest", "base64", "value", otherwise="none"),
]
"""One part of the bytes to sign."""


class Located(Node):
    """Where a value stands in the request: exactly one of header, query, form, body."""

    header: str | None = Field(None, description="A header's name, in any case.")
    query: str | None = Field(None, description="A query parameter's name.")
    form: str | None = Field(None, description="A form field's name.")
    body: str | None = Field(None, description="A dotted path in the JSON body.")

    @model_validator(mode="after")
    def _one(self, info: ValidationInfo) -> Located:
        places = (self.header, self.query, self.form, self.body)
        if sum(v is not None for v in places) != 1 and not _lenient(info):
            raise PydanticCustomError(
                "one_location", "exactly one of header, query, form and body says where it stands"
            )
        return self


class Signature(Located):
    """Where the signature stands, and how it is read out of there."""

    prefix: str = Field("", description="Text before the signature, such as sha256= .")
    encoding: Literal["hex", "base64", "base64url"] = Field("hex", description="How the signature is written.")
    parser: Literal["plain", "list", "pairs"] = Field(
        "plain", description="plain: the whole value; list: several, separated; pairs: name=value parts."
    )
    separator: str = Field(",", description="Between the parts of a list or of pairs.")
    take: str | None = Field(None, description="With pairs: the name of the parts that hold signatures.")


class Timestamp(Node):
    """When the sender signed, and how far that may lie from when the request was received."""

    header: str | None = Field(None, description="The header that holds it.")
    query: str | None = Field(None, description="The query parameter that holds it.")
    body: str | None = Field(None, description="The dotted body path that holds it.")
    signature: str | None = Field(None, description="The part of the signature header that holds it.")
    unit: Literal["s", "ms", "rfc3339"] = Field("s", description="How it is written.")
    tolerance: Duration = Field(300, description="How old it may be.")
    future: Duration = Field(60, description="How far ahead it may be.")

    @model_validator(mode="after")
    def _one(self, info: ValidationInfo) -> Timestamp:
        places = (self.header, self.query, self.body, self.signature)
        if sum(v is not None for v in places) != 1 and not _lenient(info):
            raise PydanticCustomError(
                "one_location", "exactly one of header, query, body and signature says where the time stands"
            )
        return self


class NoneScheme(Node):
    """Nothing is proved. Must be written out."""

    scheme: Literal["none"]


class TokenScheme(Located):
    """A static token that both sides know, compared in constant time."""

    scheme: Literal["token"]
    prefix: str = Field("", description="Text before the token, such as Bearer and a space.")
    secret: str = Field(description="The name of the connection's secret.")


class BasicScheme(Node):
    """HTTP Basic (RFC 7617). The secret is `user:password`."""

    scheme: Literal["basic"]
    secret: str = Field(description="The name of the connection's secret, whose value is user:password.")


class HmacScheme(Node):
    """A keyed hash over a recipe of the request's parts."""

    scheme: Literal["hmac"]
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(description="Never taken from the request.")
    sign: tuple[RecipePart, ...] = Field(("raw_body",), min_length=1, description="What is signed, part by part.")
    secret: str = Field(description="The name of the connection's secret.")
    key: Literal["utf8", "hex", "base64"] = Field("utf8", description="How the secret's text becomes the key.")
    key_prefix: str = Field("", description="Stripped from the secret's text before it is decoded.")
    signature: Signature = Field(description="Where the signature stands, and how it is written.")
    timestamp: Timestamp | None = Field(None, description="When it was signed; without it old messages stay valid.")


class AnyOf(Node):
    """Several ways to prove it."""

    any: tuple[Auth, ...] = Field(min_length=1, description="One of these must hold.")


class AllOf(Node):
    """Several proofs together."""

    all: tuple[Auth, ...] = Field(min_length=1, description="All of these must hold, by one connection's secrets.")


_SCHEME_NAMES = ("none", "token", "basic", "hmac")


def _auth(value: Any) -> str:
    if isinstance(value, AnyOf | AllOf):
        return "<any>" if isinstance(value, AnyOf) else "<all>"
    if isinstance(value, BaseModel):
        return f"<{getattr(value, 'scheme', '')}>"
    if not isinstance(value, Mapping):
        return "<no scheme>"
    if "any" in value or "all" in value:
        return "<any>" if "any" in value else "<all>"
    return f"<{value['scheme']}>" if value.get("scheme") in _SCHEME_NAMES else "<no scheme>"


Auth = Annotated[
    Annotated[AnyOf, Tag("<any>")]
    | Annotated[AllOf, Tag("<all>")]
    | Annotated[NoneScheme, Tag("<none>")]
    | Annotated[TokenScheme, Tag("<token>")]
    | Annotated[BasicScheme, Tag("<basic>")]
    | Annotated[HmacScheme, Tag("<hmac>")],
    Discriminator(_auth),
]
"""How a request proves who sent it."""


# ---- feeds ----


class ScopeOf(Node):
    """Whose merchant and store a message speaks of."""

    merchant: Expression | None = Field(None, description="The provider's id of the merchant.")
    store: Expression | None = Field(None, description="The provider's id of the store.")


class PayloadHash(Node):
    """What of the payload identifies a message that has no id of its own."""

    of: tuple[Expression, ...] | None = Field(None, description="Only these values count.")
    except_: tuple[str, ...] | None = Field(None, alias="except", description="Dotted paths that do not count.")
    window: Duration | None = Field(None, description="How long an equal message is a duplicate.")
    against: Literal["last"] | None = Field(
        None, description="last: a duplicate only of the scope's last accepted message."
    )

    @model_validator(mode="after")
    def _one(self, info: ValidationInfo) -> PayloadHash:
        if _lenient(info):
            return self
        if self.of is not None and self.except_ is not None:
            raise PydanticCustomError("of_or_except", "write either of or except, not both")
        if (self.window is None) == (self.against is None):
            raise PydanticCustomError("window_or_last", "write either window: 10m or against: last")
        return self


class Idempotency(Node):
    """How a repeated message is known."""

    event_id: tuple[Expression, ...] | None = Field(
        None, min_length=1, description="The provider's own id, or its parts."
    )
    payload_hash: PayloadHash | None = Field(None, description="A hash, where there is no id.")

    @model_validator(mode="after")
    def _one(self, info: ValidationInfo) -> Idempotency:
        if _lenient(info):
            return self
        if (self.event_id is None) == (self.payload_hash is None):
            raise PydanticCustomError("one_strategy", "write either event_id or payload_hash")
        return self


Recipe = Annotated[
    Annotated[Literal["none"], Tag("<none>")] | Annotated[Idempotency, Tag("<recipe>")],
    _shape(text="none", otherwise="recipe"),
]


class Check(Node):
    """What must hold for an element, under its failure code."""

    that: Expression = Field(description="Must be true; otherwise the check fails.")
    say: str = Field(description="What is wrong, for a person.")
    on_fail: Literal["reject_item", "reject_delivery", "warn"] = Field(
        "reject_item", description="What a failure costs."
    )


class Constant(Node):
    """A literal where an expression may stand."""

    value: Any = Field(description="A literal.")


ReaderName = Literal[
    "text",
    "id",
    "integer",
    "decimal",
    "money",
    "minor_units",
    "flag",
    "epoch_s",
    "epoch_ms",
    "timestamp",
    "date",
    "list",
]
Table = dict[str, Any]


class Mapped(Node):
    """A field with more than an expression to say."""

    from_: Expression = Field(alias="from", description="The value.")
    as_: ReaderName | None = Field(None, alias="as", description="The reader; default: the canonical field's own.")
    lookup: (
        Annotated[
            Annotated[str, Tag("<name>")] | Annotated[Table, Tag("<table>")],
            _shape(text="name", otherwise="table"),
        ]
        | None
    ) = Field(None, description="A table's name, or a table from text to values.")
    otherwise: Any = Field(None, description="With lookup: for a value that is not in the table.")
    default: Any = Field(None, description="Where the value is undefined.")
    currency: Expression | None = Field(None, description="ISO 4217 code beside the amount.")
    unit: Expression | None = Field(None, description="Unit beside the quantity.")
    picture: str | tuple[str, ...] | None = Field(None, description="How a time is written: strptime directives.")
    separator: str = Field(",", description="With as: list: between two elements.")


class ListField(Node):
    """A field that is a list of objects."""

    each: Expression = Field(description="The elements.")
    let: dict[str, Expression] = Field(default_factory=dict, description="Names for values of an element, in order.")
    when: Expression | None = Field(None, description="Elements for which this is not true are left out.")
    fields: dict[str, FieldSpec] = Field(min_length=1, description="The fields of each object.")


_FIELD_KEYS = {
    "value": "<value>",
    "each": "<each>",
    "fields": "<each>",
    **{name: "<from>" for key, field in Mapped.model_fields.items() for name in (key, field.alias or key)},
}


def _field(value: Any) -> str:
    if isinstance(value, BaseModel):
        return {"Constant": "<value>", "ListField": "<each>"}.get(type(value).__name__, "<from>")
    if not isinstance(value, Mapping):
        return "<expression>"
    known = next((tag for key, tag in _FIELD_KEYS.items() if key in value), None)
    return known or _FIELD_KEYS.get(_nearest(value, tuple(_FIELD_KEYS)) or "", "<expression>")


FieldSpec = Annotated[
    Annotated[Expression, Tag("<expression>")]
    | Annotated[Constant, Tag("<value>")]
    | Annotated[ListField, Tag("<each>")]
    | Annotated[Mapped, Tag("<from>")],
    Discriminator(_field),
]
"""A field of a command: an expression, a literal, a list of objects, or an expression with more to say."""


class Version(Node):
    """What orders the updates of one entity: an older one is stale, an equal one a duplicate."""

    from_: Expression = Field(alias="from", description="The version or time of the update.")
    as_: Literal["integer", "timestamp", "text"] = Field("timestamp", alias="as", description="How versions compare.")


class Snapshot(Node):
    """The payload is everything there is: what was there before and is absent now is retired."""

    within: Literal["store", "item", "merchant"] = Field(description="Where the payload is everything there is.")
    when: Expression | None = Field(None, description="Only a payload for which this is true is a snapshot.")
    guard: Percent = Field(
        30, description="When more than this part would be retired, the delivery waits for a person."
    )


class Rule(Node):
    """How one kind of command comes out of a payload."""

    command: str | None = Field(None, description="The canonical command; without one the rule only nests others.")
    each: Expression | None = Field(None, description="The elements; always read as a list.")
    let: dict[str, Expression] = Field(default_factory=dict, description="Names for values, in order.")
    when: Expression | None = Field(None, description="Elements for which this is not true are left out.")
    check: dict[str, Check] = Field(default_factory=dict, description="What must hold, by failure code.")
    fields: dict[str, FieldSpec] = Field(default_factory=dict, description="The command's fields.")
    version: (
        Annotated[
            Annotated[Expression, Tag("<expression>")] | Annotated[Version, Tag("<from>")],
            _shape(text="expression", otherwise="from"),
        ]
        | None
    ) = Field(None, description="Orders updates of one entity.")
    commands: dict[str, Rule] = Field(default_factory=dict, description="Rules run for each element.")
    snapshot: Snapshot | None = Field(None, description="What is absent from the payload is retired.")
    emit: Literal["all", "changed"] = Field(
        "all", description="changed: an entity about which nothing new is told gives no command."
    )
    fetch: Unbuilt = Field(None, description="Asks the provider for what a thin event leaves out.")


class Rendered(Node):
    """A part of a reply that an expression makes."""

    expr: Expression = Field(description="Its value is the body.")


def _literal_or_rendered(value: Any) -> str:
    return "<expr>" if isinstance(value, Rendered) or (isinstance(value, Mapping) and "expr" in value) else "<literal>"


JsonBody = Annotated[
    Annotated[Rendered, Tag("<expr>")] | Annotated[Any, Tag("<literal>")], Discriminator(_literal_or_rendered)
]
TextBody = Annotated[
    Annotated[Rendered, Tag("<expr>")] | Annotated[str, Tag("<literal>")], Discriminator(_literal_or_rendered)
]


class ReplySpec(Node):
    """An answer: status, headers and one of json, text, empty."""

    status: Whole = Field(200, ge=100, le=599, description="The HTTP status.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers beside Content-Type.")
    json_: JsonBody = Field(None, alias="json", description="A literal document, or {expr: …}.")
    text: TextBody | None = Field(None, description="Literal text, or {expr: …}.")
    empty: Literal[True] | None = Field(None, description="No body.")
    xml: Unbuilt = Field(None, description="An XML body.")

    @model_validator(mode="after")
    def _one(self, info: ValidationInfo) -> ReplySpec:
        if sum(v is not None for v in (self.json_, self.text, self.empty)) > 1 and not _lenient(info):
            raise PydanticCustomError("one_body", "a reply has one body: json, text or empty")
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


class Event(Node):
    """What differs for one value of the feed's `event`."""

    scope: ScopeOf | None = Field(None, description="Instead of the feed's.")
    let: dict[str, Expression] = Field(default_factory=dict, description="More names, after the feed's.")
    idempotency: Recipe | None = Field(None, description="Instead of the feed's.")
    commands: dict[str, Rule] = Field(default_factory=dict, description="What to do, by rule.")
    replies: Replies = Field(default_factory=lambda: Replies(), description="Before the feed's.")


class Limits(Node):
    """Bounds of one message."""

    body: Whole | None = Field(None, ge=1, description="The largest body in bytes.")
    elements: Whole | None = Field(None, ge=1, description="The most elements of one `each`.")


class Ignored(Node):
    """A part of the payload that is left unread on purpose."""

    path: str = Field(description="A dotted payload path; * stands for any key.")
    because: str = Field(description="Why, for a person.")


class Answer(Node):
    """What is looked up in a view, to be read in the reply as `$view` and its name."""

    view: Literal["store_status", "items"] = Field(
        description="store_status: a store with its status; items: {items, page, size, more}, with variants."
    )
    store: Expression | None = Field(None, description="The provider's id of the store; items: default the merchant's.")
    only: Expression | None = Field(None, description="items: SKUs or the provider's ids of those that are wanted.")
    page: Expression | None = Field(None, description="items: the page's number, from 1 on.")
    size: Whole = Field(50, ge=1, le=1000, description="items: how many a page has.")
    ids: Literal["canonical", "external"] = Field(
        "canonical", description="external: as the provider names them, where they are mapped."
    )


Accept = Literal["json", "ndjson", "form", "csv", "tsv"]


def _accept_list(value: object) -> object:
    for one in value if isinstance(value, list | tuple) else (value,):
        name = next(iter(one), "") if isinstance(one, dict) else one
        if name in ("xml", "x12", "xlsx"):
            raise PydanticCustomError("not_built", "this format is part of the provider language but is not built yet")
    return tuple(value) if isinstance(value, list | tuple) else (value,)


class Feed(Node):
    """One kind of message: where it comes in, how it is read, and what it makes."""

    path: str | None = Field(None, description="The last part of the URL; default: the feed's name.")
    method: str = Field("POST", pattern=r"^[A-Z]+$", description="The HTTP method.")
    accept: Annotated[
        tuple[Accept, ...], BeforeValidator(_accept_list, json_schema_input_type=Accept | tuple[Accept, ...])
    ] = Field(("json",), description="The formats of the body; of several, Content-Type decides.")
    unwrap: tuple[str, ...] = Field((), description="Dotted paths whose text is JSON, decoded in place.")
    gzip: Flag = Field(False, description="Content-Encoding gzip is accepted.")
    limits: Limits = Field(default_factory=lambda: Limits(), description="Bounds of one message.")
    connection: Expression | None = Field(None, description="Overrides the file's `connection:`.")
    scope: ScopeOf = Field(
        default_factory=lambda: ScopeOf(), description="Whose merchant and store a message speaks of."
    )
    idempotency: Recipe = Field(description="How a repeated message is known.")
    let: dict[str, Expression] = Field(default_factory=dict, description="Names for values, in order.")
    event: Expression | None = Field(None, description="What kind of message it is.")
    events: dict[str, Event] | None = Field(None, description="By the value of `event`.")
    otherwise: Literal["reject", "ignore", "park"] | None = Field(None, description="For any other value of `event`.")
    commands: dict[str, Rule] = Field(default_factory=dict, description="What to do, by rule.")
    ignore: tuple[Ignored, ...] = Field((), description="What is left unread, and why.")
    replies: Replies = Field(default_factory=lambda: Replies(), description="Before the file's.")
    ack: Literal["persisted"] | None = Field(None, description="Answer once the request is durable, before the work.")
    answer: dict[str, Answer] | None = Field(
        None, min_length=1, description="A question that is answered from the views, by the name under $view."
    )

    @model_validator(mode="after")
    def _events_said(self, info: ValidationInfo) -> Feed:
        if _lenient(info):
            return self
        if (self.event is None) != (self.events is None):
            raise PydanticCustomError("event_and_events", "event and events go together")
        if self.events is not None and self.otherwise is None:
            raise PydanticCustomError(
                "otherwise_missing", "say what happens to any other event: otherwise: reject, ignore or park"
            )
        if self.answer is not None:
            if self.commands or self.events is not None or self.ack or self.idempotency != "none":
                raise PydanticCustomError(
                    "answer_alone", "a question makes no commands: no commands, events or ack, and idempotency: none"
                )
        elif self.events is None and not self.commands:
            raise PydanticCustomError("nothing_to_do", "a feed needs commands, event and events, or answer")
        return self


class Provider(Node):
    """A whole provider file."""

    spec: Literal["tiffin/v1"] = Field(description="The version of this language.")
    provider: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="The name in URLs; also the file's name.")
    title: str = Field(description="The name for people.")
    family: Family = Field(description="The kind of system; part of the URLs.")
    revision: Whole = Field(ge=1, description="Raised when what the file emits changes.")
    evidence: Literal["official", "observed", "assumed"] = Field(description="What the file rests on.")
    defaults: Defaults = Field(default_factory=lambda: Defaults(), description="What holds where nothing else is said.")
    auth: Auth = Field(description="How a request proves who sent it.")
    connection: Expression | None = Field(None, description="Selects the connection where the URL does not.")
    unmapped: dict[Kind, Literal["reject", "create", "park"]] = Field(
        default_factory=dict,
        description="What happens to an id without a mapping; default: store rejects, others create.",
    )
    per_store: tuple[Kind, ...] | None = Field(
        None,
        description="Kinds whose ids are unique within a store only; "
        "default: for a pos the items, variants, categories, addon groups and addons.",
    )
    lookups: dict[str, Table] = Field(default_factory=dict, description="Tables from text to values, by name.")
    sensitive: tuple[str, ...] = Field((), description="Dotted payload paths that are stored encrypted.")
    replies: Replies = Field(default_factory=lambda: Replies(), description="Answers where a feed says nothing.")
    feeds: dict[str, Feed] = Field(min_length=1, description="The kinds of message, by name.")
    handshakes: Unbuilt = Field(None, description="Pings and codes that prove an address.")
    extends: Unbuilt = Field(None, description="Another file that this one changes.")


for _model in (Base64Part, AnyOf, AllOf, ListField, Rule):
    _model.model_rebuild()
