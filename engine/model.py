"""The provider file as frozen pydantic models: the one description of the provider language.

`schemas/provider.schema.json` and the reference in docs/ are generated from these models. A string in an
expression's place becomes an `Expression`; everything else is literal. Every union chooses its member by the
keys that are written, so that one mistake is one error.

With the validation context `{"lenient": True}` what several keys must agree on is not looked at: the checker
then finds what else is wrong in a file that does not load.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from engine.auth_model import AllOf as AllOf
from engine.auth_model import AnyOf as AnyOf
from engine.auth_model import Auth as Auth
from engine.auth_model import BasicScheme as BasicScheme
from engine.auth_model import HmacScheme as HmacScheme
from engine.auth_model import NoneScheme as NoneScheme
from engine.auth_model import TokenScheme as TokenScheme
from engine.fetch_model import Fetch as Fetch
from engine.formats import AcceptList, Options, by_name
from engine.handshake_model import Handshake as Handshake
from engine.handshake_model import SecretPart as SecretPart
from engine.handshake_model import ShownUrl as ShownUrl
from engine.model_base import Constant as Constant
from engine.model_base import Duration as Duration
from engine.model_base import Expression as Expression
from engine.model_base import Flag as Flag
from engine.model_base import Node as Node
from engine.model_base import Percent as Percent
from engine.model_base import Whole as Whole
from engine.model_base import lenient as _lenient
from engine.model_base import nearest as _nearest
from engine.model_base import seconds_of as seconds_of
from engine.model_base import shape as _shape
from engine.reply_model import Rendered as Rendered
from engine.reply_model import Replies as Replies
from engine.reply_model import ReplySpec as ReplySpec

Kind = Literal["merchant", "store", "item", "variant", "category", "addon_group", "addon", "order"]
Family = Literal["pos", "erp", "seller", "admin"]


class Defaults(Node):
    """What holds where neither the payload nor the connection says otherwise."""

    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$", description="ISO 4217 code of money without a currency.")
    unit: str | None = Field(None, description="Unit of quantities without a unit, such as each or kg.")
    time_zone: str | None = Field(None, description="IANA zone of times without a zone, such as Asia/Kolkata.")


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
    divide_by: Literal[10, 100, 1000, 10000] | None = Field(
        None, description="What the number is divided by, exactly: 1000 where 9000 stands for 9."
    )


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
    fetch: Fetch | None = Field(None, description="Asks the provider for what a thin event leaves out.")


class Event(Node):
    """What differs for one value of the feed's `event`."""

    scope: ScopeOf | None = Field(None, description="Instead of the feed's.")
    let: dict[str, Expression] = Field(default_factory=dict, description="More names, after the feed's.")
    idempotency: Recipe | None = Field(None, description="Instead of the feed's.")
    commands: dict[str, Rule] = Field(default_factory=dict, description="What to do, by rule.")
    replies: Replies = Field(default_factory=lambda: Replies(), description="Before the feed's.")
    ignore: str | None = Field(None, min_length=1, description="Such a message makes nothing; why, for a person.")

    @model_validator(mode="after")
    def _ignored_alone(self, info: ValidationInfo) -> Event:
        if self.ignore is not None and self.commands and not _lenient(info):
            raise PydanticCustomError("ignored_with_commands", "an event that is ignored has no commands")
        return self


class Limits(Node):
    """Bounds of one message."""

    body: Whole | None = Field(None, ge=1, description="The largest body in bytes.")
    elements: Whole = Field(
        20_000, ge=1, description="The most elements of one `each`. Each takes some 4 KB of memory on its way."
    )
    values: Whole = Field(
        1_000_000,
        ge=1,
        description="The most values of a body: JSON values, cells, XML elements and attributes, X12 elements.",
    )
    depth: Whole = Field(64, ge=1, le=200, description="How deeply the elements of XML may nest.")


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


class Issue(Node):
    """A token that this feed gives out, for scheme issued; in replies it is $issued.token."""

    secret: str = Field(description="The name of the connection's secret that tokens are made with.")
    lifetime: Duration = Field(description="How long a token holds, such as 12h.")


class Feed(Node):
    """One kind of message: where it comes in, how it is read, and what it makes."""

    path: str | None = Field(
        None,
        description="The last part of the URL, with the / at its end if it has one; {name} stands for one segment, "
        "read as $request.params.name; default: the feed's name.",
    )
    method: str = Field("POST", pattern=r"^[A-Z]+$", description="The HTTP method.")
    accept: AcceptList = Field(
        ("json",), description="The formats of the body; of several, Content-Type decides; none: no body."
    )
    unwrap: tuple[str, ...] = Field((), description="Dotted paths whose text is JSON, decoded in place.")
    gzip: Flag = Field(False, description="Content-Encoding gzip is accepted.")
    limits: Limits = Field(default_factory=lambda: Limits(), description="Bounds of one message.")
    connection: Expression | None = Field(None, description="Overrides the file's `connection:`.")
    auth: Auth | None = Field(None, description="Instead of the file's `auth:`, as of a login.")
    issue: Issue | None = Field(
        None, description="Gives out a token: a login. Nothing of the request is stored or interpreted."
    )
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

    @cached_property
    def formats(self) -> Mapping[str, Options | None]:
        """What `accept` names, in order, each with its options."""
        return by_name(self.accept)

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
        elif self.issue is None and self.events is None and not self.commands:
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
    handshakes: dict[str, Handshake] = Field(
        default_factory=dict, description="Pings, challenges and codes that prove an address, by name."
    )
    extends: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9-]{0,62}@[1-9][0-9]*$",
        description="The provider file that this one changes, with its revision, such as base@3; null removes.",
    )
