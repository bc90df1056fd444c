"""Whether a request proves who sent it.

    Unauthorized (class auth)
    ├── secret_missing            the connection has no usable secret for any scheme
    ├── address_not_allowed, certificate_not_allowed
    ├── token_missing, credentials_missing, signature_missing, timestamp_missing
    ├── body_unreadable           the proof stands in a body that cannot be read
    ├── token_malformed, credentials_malformed, signature_malformed, timestamp_malformed
    ├── key_unknown, certificate_unusable, key_unavailable (as KeyNeeded, with the URL to fetch)
    ├── token_mismatch, credentials_mismatch, signature_mismatch
    ├── token_expired, signature_expired
    └── timestamp_outside_tolerance

Of several alternatives that all fail, the one furthest down that list is told; but where one lacks only a
certificate, KeyNeeded is. Secrets and signatures are compared in constant time and never stand in a failure.
"""

from __future__ import annotations

import base64
import binascii
import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from engine.addresses import address_allowed
from engine.auth_failures import SAME_TOKEN, KeyNeeded, Presented, Secrets, known, matches, refused, token_at
from engine.auth_model import AddressScheme, AllOf, AnyOf, Auth, BasicScheme, NoneScheme, TokenScheme
from engine.failures import Unauthorized
from engine.locations import Locations, location, locations
from engine.messages import Request
from engine.request_parts import Repeated, RequestParts, described
from engine.signed_requests import check_signed
from engine.signing_keys import UnusableSecret, schemes, schemes_of, secret_names, usable_secret

_TELLING = ("allowed", "missing", "unreadable", "malformed", "unknown", "unusable", "unavailable", "mismatch",
            "expired", "tolerance")  # fmt: skip
_NOTHING: Mapping[str, bytes] = MappingProxyType({})


def verify(auth: Auth, request: Request, secrets: Secrets, fetched: Mapping[str, bytes] = _NOTHING) -> None:
    """Returns when the request proves its sender; raises Unauthorized otherwise, and nothing else.

    `fetched` holds certificates (PEM) by URL; KeyNeeded names the one that is missing there.
    """
    _check(auth, Presented(RequestParts(request), secrets, fetched))


def _check(auth: Auth, shown: Presented) -> None:
    if isinstance(auth, AnyOf):
        _check_any(auth, shown)
    elif isinstance(auth, AllOf):
        _check_all(auth, shown)
    else:
        _SCHEMES[auth.scheme](auth, shown)


def _check_any(auth: AnyOf, shown: Presented) -> None:
    found: list[Unauthorized] = []
    for one in auth.any:
        try:
            return _check(one, shown)
        except Unauthorized as error:
            found.append(error)
    raise next((one for one in found if isinstance(one, KeyNeeded)), None) or max(found, key=_telling)


def _check_all(auth: AllOf, shown: Presented) -> None:
    """A certificate is asked for only when all the rest holds: strangers must not cause fetches."""
    needed: KeyNeeded | None = None
    for one in auth.all:
        try:
            _check(one, shown)
        except KeyNeeded as error:
            needed = needed or error
    if needed is not None:
        raise needed


def _telling(found: Unauthorized) -> int:
    code = found.failure.code
    return -1 if code == "secret_missing" else _TELLING.index(code.rsplit("_", 1)[1])


# ---- none, address, token, basic ----------------------------------------


def _check_none(scheme: NoneScheme, shown: Presented) -> None:
    return None


def _check_address(scheme: AddressScheme, shown: Presented) -> None:
    if not address_allowed(shown.parts.request.peer, scheme.allow):
        sentence = "The caller's address is in none of the provider file's blocks."
        step = "Add the block to the provider file, or declare the proxy in TIFFIN_TRUSTED_PROXIES."
        raise refused("address_not_allowed", sentence, step)


def _check_token(scheme: TokenScheme, shown: Presented) -> None:
    right = known(scheme.secret, shown.secrets)
    where, name = location(scheme)
    if not matches([token_at(shown.parts, where, name, scheme.prefix)], right):
        raise refused("token_mismatch", f"The token in the {described(where, name)} is not known.", SAME_TOKEN)


def _check_basic(scheme: BasicScheme, shown: Presented) -> None:
    right = known(scheme.secret, shown.secrets)
    try:
        value = shown.parts.value("header", "authorization")
    except Repeated as error:
        raise refused("credentials_malformed", str(error), "Send the Authorization header once.") from None
    if not value:
        sentence = "There is no Authorization header."
        raise refused("credentials_missing", sentence, "Configure user and password at the sender.")
    kind, _, written = value.partition(b" ")
    try:
        given = base64.b64decode(written.strip(), validate=True)
    except binascii.Error:
        given = b""
    if kind.lower() != b"basic" or b":" not in given:
        sentence = "The Authorization header does not hold Basic credentials."
        raise refused("credentials_malformed", sentence, "Send user and password as HTTP Basic (RFC 7617).")
    if not matches([given], right):
        sentence = "User and password are not known."
        raise refused("credentials_mismatch", sentence, "Configure the same user and password on both sides.")


def _later(module: str, name: str) -> Callable[[Any, Presented], None]:
    """A check whose libraries are loaded when it is first used: most servers never need them."""

    def check(scheme: Any, shown: Presented) -> None:
        getattr(importlib.import_module(module), name)(scheme, shown)

    return check


_SCHEMES: Mapping[str, Callable[[Any, Presented], None]] = {
    "none": _check_none,
    "address": _check_address,
    "token": _check_token,
    "basic": _check_basic,
    "ws_security": _later("engine.ws_security", "check_ws_security"),
    "jwt": _later("engine.json_web_tokens", "check_jwt"),
    "issued": _later("engine.json_web_tokens", "check_issued"),
    "hmac": check_signed,
    "hash": check_signed,
    "rsa": check_signed,
    "ecdsa": check_signed,
    "ed25519": check_signed,
    "message_signature": _later("engine.message_signatures", "check_message_signature"),
}

__all__ = [
    "KeyNeeded",
    "Locations",
    "Secrets",
    "UnusableSecret",
    "location",
    "locations",
    "schemes",
    "schemes_of",
    "secret_names",
    "usable_secret",
    "verify",
]
