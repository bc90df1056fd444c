"""Signs a request the way a provider file says: the inverse of verifying, for trying things out."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from engine import signature_timestamps, signature_values
from engine.locations import location, timestamp_location
from engine.messages import Request
from engine.model import AllOf, AnyOf, Auth, BasicScheme, HmacScheme, NoneScheme, TokenScheme
from engine.recipes import bytes_to_sign
from engine.request_parts import PartError, RequestParts
from engine.signature_values import Malformed, Signed
from engine.signing_keys import keys

Headers = list[tuple[str, str]]


class Unsignable(ValueError):
    """A request that cannot be signed: its sentence says what is missing, and holds no secret."""


def sign(auth: Auth, request: Request, secrets: Mapping[str, tuple[bytes, ...]]) -> Headers:
    """The headers that make the request verify, with the first of each secret's values.

    Of alternatives the first one that can be signed is used. `received_at` is the time of signing. A
    header that the request already has is kept and not returned, save the signature itself. Raises
    Unsignable where a secret or a signed part is missing, or where the proof does not stand in a header.
    """
    if isinstance(auth, AnyOf):
        return _sign_any(auth, request, secrets)
    if isinstance(auth, AllOf):
        made: Headers = []
        for one in auth.all:
            made += sign(one, _with(request, made), secrets)
        return made
    return _SCHEMES[auth.scheme](auth, request, secrets)


def _sign_any(auth: AnyOf, request: Request, secrets: Mapping[str, tuple[bytes, ...]]) -> Headers:
    reasons: list[str] = []
    for one in auth.any:
        try:
            return sign(one, request, secrets)
        except Unsignable as error:
            reasons.append(str(error))
    raise Unsignable(" ".join(reasons))


def _sign_none(scheme: NoneScheme, request: Request, secrets: Mapping[str, tuple[bytes, ...]]) -> Headers:
    return []


def _sign_token(scheme: TokenScheme, request: Request, secrets: Mapping[str, tuple[bytes, ...]]) -> Headers:
    return [(_header(*location(scheme)), scheme.prefix + _secret(scheme.secret, secrets).decode("latin-1"))]


def _sign_basic(scheme: BasicScheme, request: Request, secrets: Mapping[str, tuple[bytes, ...]]) -> Headers:
    return [("Authorization", f"Basic {base64.b64encode(_secret(scheme.secret, secrets)).decode()}")]


def _sign_hmac(scheme: HmacScheme, request: Request, secrets: Mapping[str, tuple[bytes, ...]]) -> Headers:
    name = _header(*location(scheme.signature))
    known = keys(scheme, secrets)
    if not known:
        raise Unsignable(f"There is no usable secret {scheme.secret}.")
    if scheme.signature.parser == "pairs" and not scheme.signature.take:
        raise Unsignable("The signature's parser is pairs, and `take` does not name the part that holds it.")
    made, named = _stamp(scheme, request)
    signed = Signed((), {part: [value] for part, value in named.items()})
    parts = RequestParts(_with(request, made))
    try:
        message = bytes_to_sign(scheme.sign, parts, signed, ("header", name))
    except (PartError, Malformed) as error:
        raise Unsignable(str(error)) from None
    digest = hmac.digest(known[0], message, scheme.algorithm)
    return [*made, (name, signature_values.write(digest, scheme.signature, named))]


def _stamp(scheme: HmacScheme, request: Request) -> tuple[Headers, dict[str, str]]:
    """The time of signing, as a header to add or as a named part of the signature."""
    if scheme.timestamp is None:
        return [], {}
    where, name = timestamp_location(scheme.timestamp)
    written = signature_timestamps.write(request.received_at, scheme.timestamp.unit)
    if where == "signature":
        return [], {name: written}
    if where == "header" and not request.header_values(name):
        return [(name, written)], {}
    return [], {}


def _secret(name: str, secrets: Mapping[str, tuple[bytes, ...]]) -> bytes:
    known = [secret for secret in secrets.get(name, ()) if secret]
    if not known:
        raise Unsignable(f"There is no usable secret {name}.")
    return known[0]


def _header(where: str, name: str) -> str:
    if where != "header":
        raise Unsignable(f"The proof stands in the {where} ({name}), and only headers can be made.")
    return name


def _with(request: Request, headers: Headers) -> Request:
    added = tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers)
    return replace(request, headers=request.headers + added)


_SCHEMES: Mapping[str, Callable[[Any, Request, Mapping[str, tuple[bytes, ...]]], Headers]] = {
    "none": _sign_none,
    "token": _sign_token,
    "basic": _sign_basic,
    "hmac": _sign_hmac,
}
