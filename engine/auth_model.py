"""The `auth` block of a provider file as frozen models: schemes, and trees of any and all.

The algorithm of a scheme is always written here and never taken from a request.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from engine.model_base import Duration, Flag, Node, lenient, shape
from engine.recipe_model import RecipePart

_HOST = re.compile(r"(?:\*|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.(?:\*|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?))+")


class Placed(Node):
    """Where a value stands in the request: exactly one of its keys."""

    @model_validator(mode="after")
    def _one(self, info: ValidationInfo) -> Placed:
        places: list[str] = [
            name for name in ("header", "query", "form", "body", "signature") if name in type(self).model_fields
        ]
        written = [name for name in places if getattr(self, name) is not None]
        if getattr(self, "raw_body", False):
            written.append("raw_body")
        if len(written) != 1 and not lenient(info):
            named = f"{', '.join(places[:-1])} and {places[-1]}"
            raise PydanticCustomError("one_location", "exactly one of {named} says where it stands", {"named": named})
        return self


class Located(Placed):
    """Where a value stands in the request: exactly one of header, query, form, body."""

    header: str | None = Field(None, description="A header's name, in any case.")
    query: str | None = Field(None, description="A query parameter's name.")
    form: str | None = Field(None, description="A form field's name.")
    body: str | None = Field(None, description="A dotted path in the JSON body.")


class Selector(Located):
    """Where a value stands in the request, the signature's own parts among the places."""

    signature: str | None = Field(None, description="A named part of the signature's value, such as keyId.")


class Signature(Located):
    """Where the signature stands, and how it is read out of there."""

    prefix: str = Field("", description="Text before the signature, such as sha256= .")
    encoding: Literal["hex", "base64", "base64url"] = Field("hex", description="How the signature is written.")
    parser: Literal["plain", "list", "pairs", "params"] = Field(
        "plain",
        description="plain: the whole value; list: several, separated; pairs: name=value parts; "
        'params: a word and name="value" parameters with commas (RFC 9110), as in Authorization: Signature.',
    )
    separator: str = Field(",", min_length=1, description="Between the parts of a list or of pairs.")
    take: str | None = Field(None, description="With pairs and params: the name of the parts that hold signatures.")


class Timestamp(Selector):
    """When the sender signed, and how far that may lie from when the request was received."""

    unit: Literal["s", "ms", "rfc3339", "http_date"] = Field("s", description="How it is written.")
    tolerance: Duration = Field(300, description="How old it may be.")
    future: Duration = Field(60, description="How far ahead it may be.")
    expires: str | None = Field(
        None, description="At the same place and in the same unit: the time after which the request is void."
    )


def _none_said(value: object) -> object:
    return None if value == "none" else value


SignedTime = Annotated[
    Timestamp | None,
    BeforeValidator(_none_said, json_schema_input_type=Timestamp | Literal["none"]),
]
"""None where a file says nothing of it, or that there is none: the latter is among the fields that were set."""


class Keyring(Node):
    """One of several secrets, chosen by a value of the request."""

    keyring: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,62}$",
        description="The ring's name; the connection's secrets are named ring/value.",
    )
    by: Selector = Field(description="Where the value stands. It only chooses which secret is tried.")


def _host(value: str) -> str:
    labels = value.split(".")
    if not _HOST.fullmatch(value) or "*" in labels[-2:]:
        raise PydanticCustomError(
            "host_pattern", "a host is expected, where * stands for one label but not the last two"
        )
    return value


Host = Annotated[str, AfterValidator(_host)]
"""A host's name, in which `*` stands for one label."""


class Certificate(Node):
    """A certificate whose URL the request names: fetched from a few hosts, by https only, and kept."""

    certificate: Located = Field(description="Where the URL stands.")
    hosts: tuple[Host, ...] = Field(
        min_length=1, description="Hosts that are believed; * stands for one label, such as certs.*.example.com ."
    )


_NAME = "The name of the connection's secret."
_KEYS: Any = shape("keyring", "certificate", text="name", otherwise="keyring")
Secret = Annotated[Annotated[str, Tag("<name>")] | Annotated[Keyring, Tag("<keyring>")], _KEYS]
PublicKey = Annotated[
    Annotated[str, Tag("<name>")] | Annotated[Keyring, Tag("<keyring>")] | Annotated[Certificate, Tag("<certificate>")],
    _KEYS,
]
SharedKeyText = Literal["utf8", "hex", "base64"]
PublicKeyText = Literal["pem", "hex", "base64"]
_PUBLIC_KEY = "pem: a public key or a certificate; hex, base64: the raw key, or its DER (SubjectPublicKeyInfo)."
_KEY_PREFIX = "Stripped from the secret's text before it is decoded, such as key_."


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise PydanticCustomError("address_block", "an address block is expected, such as 203.0.113.0/24") from None


class NoneScheme(Node):
    """Nothing is proved. Must be written out."""

    scheme: Literal["none"]


class AddressScheme(Node):
    """The caller's address, behind the declared proxies (TIFFIN_TRUSTED_PROXIES)."""

    scheme: Literal["address"]
    allow: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        min_length=1, description="CIDR blocks; the address must lie in one of them."
    )


class TokenScheme(Located):
    """A static token that both sides know, compared in constant time. Several in `all` make a pair or a triple."""

    scheme: Literal["token"]
    prefix: str = Field("", description="Text before the token, such as Bearer and a space; in any case.")
    secret: str = Field(description=_NAME)


class BasicScheme(Node):
    """HTTP Basic (RFC 7617). The secret is `user:password`."""

    scheme: Literal["basic"]
    secret: str = Field(description="The name of the connection's secret, whose value is user:password.")


class WsSecurityScheme(Node):
    """WS-Security UsernameToken in a SOAP header. The secret is `user:password`."""

    scheme: Literal["ws_security"]
    secret: str = Field(description="The name of the connection's secret, whose value is user:password.")
    password: Literal["text", "digest"] = Field("text", description="The type of password that is expected.")
    tolerance: Duration | None = Field(None, description="How old Created may be; a digest has five minutes.")
    future: Duration = Field(60, description="How far ahead Created may be.")


class JwtScheme(Placed):
    """A JSON Web Token (RFC 7519). exp and nbf are kept wherever they stand in it."""

    scheme: Literal["jwt"]
    header: str | None = Field(None, description="The header that holds it, in any case.")
    query: str | None = Field(None, description="The query parameter that holds it.")
    form: str | None = Field(None, description="The form field that holds it.")
    body: str | None = Field(None, description="The dotted body path that holds it.")
    raw_body: Flag = Field(False, description="The body itself is the token; the feed then says accept: jwt.")
    prefix: str = Field("", description="Text before the token, such as Bearer and a space; in any case.")
    algorithm: Literal["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"] = Field(
        "HS256", description="The only one that is accepted, whatever the token says."
    )
    secret: Secret = Field(description=_NAME)
    key: Literal["utf8", "hex", "base64", "pem"] = Field("utf8", description="How the secret's text becomes the key.")
    key_prefix: str = Field("", description=_KEY_PREFIX)
    issuer: (
        Annotated[Annotated[str, Tag("<text>")] | Annotated[Located, Tag("<located>")], shape(otherwise="located")]
        | None
    ) = Field(None, description="What iss must be: text, or where in the request it stands.")
    audience: str | None = Field(None, description="What aud must hold.")
    tolerance: Duration | None = Field(None, description="How old iat may be; without it only exp limits the age.")
    future: Duration = Field(60, description="How far ahead iat and nbf, and how far past exp, may be.")


class IssuedScheme(Located):
    """A token that a feed with `issue` gave out. Nothing is stored: it is signed, and ends by itself."""

    scheme: Literal["issued"]
    prefix: str = Field("", description="Text before the token, such as Bearer and a space; in any case.")
    secret: str = Field(description="The name of the connection's secret that tokens are made with.")


class SignedScheme(Node):
    """A signature over a recipe of the request's parts."""

    sign: tuple[RecipePart, ...] = Field(("raw_body",), min_length=1, description="What is signed, part by part.")
    each: str | None = Field(
        None, description="A list in the JSON body whose elements are signed one by one; body paths then begin there."
    )
    signature: Signature = Field(description="Where the signature stands, and how it is written.")
    timestamp: SignedTime = Field(
        None, description="When it was signed. none: the provider signs no time, and old messages stay valid."
    )


class HmacScheme(SignedScheme):
    """A keyed hash (RFC 2104) over a recipe of the request's parts."""

    scheme: Literal["hmac"]
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(description="Never taken from the request.")
    secret: Secret = Field(description=_NAME)
    key: SharedKeyText = Field("utf8", description="How the secret's text becomes the key.")
    key_prefix: str = Field("", description=_KEY_PREFIX)


class HashScheme(SignedScheme):
    """A plain hash of a recipe that holds the secret; without a secret a checksum, which belongs into `all`."""

    scheme: Literal["hash"]
    algorithm: Literal["md5", "sha1", "sha256", "sha512"] = Field(description="Never taken from the request.")
    secret: str | None = Field(None, description="The name of the connection's secret; `sign` says where it stands.")


class RsaScheme(SignedScheme):
    """An RSA signature (RFC 8017)."""

    scheme: Literal["rsa"]
    algorithm: Literal["sha1", "sha256", "sha512"] = Field(description="Never taken from the request.")
    padding: Literal["pkcs1", "pss"] = Field("pkcs1", description="PKCS #1 v1.5, or PSS.")
    secret: PublicKey = Field(description="The name of the connection's secret: the sender's public key.")
    key: PublicKeyText = Field("pem", description=_PUBLIC_KEY)


class EcdsaScheme(SignedScheme):
    """An ECDSA signature on the curve P-256 with SHA-256."""

    scheme: Literal["ecdsa"]
    form: Literal["der", "raw"] = Field("der", description="der: ASN.1; raw: r and s, 32 bytes each.")
    secret: PublicKey = Field(description="The name of the connection's secret: the sender's public key.")
    key: PublicKeyText = Field("pem", description=_PUBLIC_KEY)


class Ed25519Scheme(SignedScheme):
    """An Ed25519 signature (RFC 8032)."""

    scheme: Literal["ed25519"]
    secret: Secret = Field(description="The name of the connection's secret: the sender's public key.")
    key: PublicKeyText = Field("hex", description=_PUBLIC_KEY)
    key_prefix: str = Field("", description=_KEY_PREFIX)


class MessageSignatureScheme(Node):
    """HTTP Message Signatures (RFC 9421): headers Signature and Signature-Input, and Content-Digest (RFC 9530)."""

    scheme: Literal["message_signature"]
    algorithm: Literal["hmac-sha256", "ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512", "rsa-v1_5-sha256"] = Field(
        description="Never taken from the request."
    )
    cover: tuple[str, ...] = Field(
        min_length=1, description='What must be signed, such as "@method", "@target-uri", content-digest.'
    )
    secret: Secret = Field(description=f"{_NAME} Of a keyring the parameter keyid chooses: by: {{signature: keyid}}.")
    key: Literal["utf8", "hex", "base64", "pem"] = Field("pem", description="How the secret's text becomes the key.")
    tag: str | None = Field(None, description="The parameter tag of the signature to take, where there are several.")
    tolerance: Duration = Field(300, description="How old the parameter created may be.")
    future: Duration = Field(60, description="How far ahead created may be.")


class AnyOf(Node):
    """Several ways to prove it."""

    any: tuple[Auth, ...] = Field(min_length=1, description="One of these must hold.")


class AllOf(Node):
    """Several proofs together."""

    all: tuple[Auth, ...] = Field(min_length=1, description="All of these must hold, by one connection's secrets.")


Scheme = (
    NoneScheme
    | AddressScheme
    | TokenScheme
    | BasicScheme
    | WsSecurityScheme
    | JwtScheme
    | IssuedScheme
    | HmacScheme
    | HashScheme
    | RsaScheme
    | EcdsaScheme
    | Ed25519Scheme
    | MessageSignatureScheme
)
SCHEME_NAMES: tuple[str, ...] = tuple(
    get_args(member.model_fields["scheme"].annotation)[0] for member in get_args(Scheme)
)


def _auth(value: Any) -> str:
    if isinstance(value, AnyOf | AllOf):
        return "<any>" if isinstance(value, AnyOf) else "<all>"
    if isinstance(value, BaseModel):
        return f"<{getattr(value, 'scheme', '')}>"
    if not isinstance(value, Mapping):
        return "<no scheme>"
    if "any" in value or "all" in value:
        return "<any>" if "any" in value else "<all>"
    return f"<{value['scheme']}>" if value.get("scheme") in SCHEME_NAMES else "<no scheme>"


Auth = Annotated[
    Annotated[AnyOf, Tag("<any>")]
    | Annotated[AllOf, Tag("<all>")]
    | Annotated[NoneScheme, Tag("<none>")]
    | Annotated[AddressScheme, Tag("<address>")]
    | Annotated[TokenScheme, Tag("<token>")]
    | Annotated[BasicScheme, Tag("<basic>")]
    | Annotated[WsSecurityScheme, Tag("<ws_security>")]
    | Annotated[JwtScheme, Tag("<jwt>")]
    | Annotated[IssuedScheme, Tag("<issued>")]
    | Annotated[HmacScheme, Tag("<hmac>")]
    | Annotated[HashScheme, Tag("<hash>")]
    | Annotated[RsaScheme, Tag("<rsa>")]
    | Annotated[EcdsaScheme, Tag("<ecdsa>")]
    | Annotated[Ed25519Scheme, Tag("<ed25519>")]
    | Annotated[MessageSignatureScheme, Tag("<message_signature>")],
    Discriminator(_auth),
]
"""How a request proves who sent it."""
