"""Where in a request the parts of its authentication stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.auth_model import (
    Auth,
    BasicScheme,
    IssuedScheme,
    JwtScheme,
    Located,
    Scheme,
    Selector,
    TokenScheme,
    WsSecurityScheme,
)
from engine.request_parts import Where
from engine.signing_keys import schemes

_PLACES: tuple[Where, ...] = ("header", "query", "form", "body", "signature")


def location(located: Located | Selector | JwtScheme) -> tuple[Where, str]:
    """Where a value stands and its name there, such as ("header", "X-Signature").

    ("signature", "") where the file does not say, or where the whole body is the value.
    """
    for where in _PLACES:
        name = getattr(located, where, None)
        if name is not None:
            return where, name
    return "signature", ""


@dataclass(frozen=True, slots=True)
class Locations:
    """Where requests carry secrets themselves, to be stored sealed. Header names are lower case."""

    headers: frozenset[str]
    query: frozenset[str]
    form: frozenset[str]
    body: frozenset[str]


def locations(*auths: Auth) -> Locations:
    """Where tokens and credentials stand. Signatures are no secrets and are not listed."""
    found = [place for auth in auths for scheme in schemes(auth) for place in _carried(scheme)]

    def names(wanted: Where) -> frozenset[str]:
        return frozenset(str(name) for where, name in found if where == wanted)

    headers = frozenset(name.lower() for name in names("header"))
    return Locations(headers, names("query"), names("form"), names("body"))


def _carried(scheme: Scheme) -> Iterable[tuple[Where, str]]:
    if isinstance(scheme, BasicScheme):
        return [("header", "authorization")]
    if isinstance(scheme, WsSecurityScheme):
        return [("body", "Envelope.Header.Security.UsernameToken.Password")]
    if isinstance(scheme, TokenScheme | JwtScheme | IssuedScheme):
        return [location(scheme)]
    return []
