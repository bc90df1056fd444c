"""Signs a request the way a provider file says: the inverse of verifying, for trying things out."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt

from engine import signature_timestamps, signature_values
from engine.auth_failures import Presented, Secrets
from engine.auth_model import (
    AddressScheme,
    AllOf,
    AnyOf,
    Auth,
    BasicScheme,
    Certificate,
    HashScheme,
    HmacScheme,
    IssuedScheme,
    JwtScheme,
    Keyring,
    MessageSignatureScheme,
    NoneScheme,
    TokenScheme,
    WsSecurityScheme,
)
from engine.failures import Unauthorized
from engine.json_web_tokens import issue
from engine.key_families import Asymmetric, family_of
from engine.locations import location
from engine.message_signatures import signature_headers
from engine.messages import Request
from engine.public_keys import private_key, signed
from engine.recipes import bytes_to_sign, digest_of
from engine.request_parts import PartError, RequestParts
from engine.signature_values import Malformed, Signed
from engine.signed_requests import keys_for
from engine.signing_keys import key

Headers = list[tuple[str, str]]

_LIFETIME = 3600
"""Seconds that a token made for trying things out holds."""


class Unsignable(ValueError):
    """A request that cannot be signed: its sentence says what is missing, and holds no secret."""


def sign(auth: Auth, request: Request, secrets: Secrets) -> Headers:
    """The headers that make the request verify, with the first of each secret's values.

    For schemes with a public key the secret is the private one. Of alternatives the first one that can be signed
    is used. `received_at` is the time of signing. A header that the request already has is kept and not returned,
    save the signature itself. Raises Unsignable where a secret or a signed part is missing, or where the proof
    does not stand in a header.
    """
    if isinstance(auth, AnyOf):
        return _sign_any(auth, request, secrets)
    if isinstance(auth, AllOf):
        made: Headers = []
        for one in auth.all:
            made += sign(one, _with(request, made), secrets)
        return made
    return _SCHEMES[auth.scheme](auth, request, secrets)


def _sign_any(auth: AnyOf, request: Request, secrets: Secrets) -> Headers:
    reasons: list[str] = []
    for one in auth.any:
        try:
            return sign(one, request, secrets)
        except Unsignable as error:
            reasons.append(str(error))
    raise Unsignable(" ".join(reasons))


def _sign_none(scheme: NoneScheme | AddressScheme, request: Request, secrets: Secrets) -> Headers:
    return []


def _sign_token(scheme: TokenScheme, request: Request, secrets: Secrets) -> Headers:
    where, name = location(scheme)
    secret = _secret(scheme.secret, secrets).decode("latin-1")
    return _put(where, name, scheme.prefix + secret, request)


def _sign_basic(scheme: BasicScheme, request: Request, secrets: Secrets) -> Headers:
    return [("Authorization", f"Basic {base64.b64encode(_secret(scheme.secret, secrets)).decode()}")]


def _sign_ws_security(scheme: WsSecurityScheme, request: Request, secrets: Secrets) -> Headers:
    raise Unsignable("The proof stands in the SOAP envelope; put the UsernameToken there.")


def _sign_jwt(scheme: JwtScheme, request: Request, secrets: Secrets) -> Headers:
    if scheme.raw_body:
        raise Unsignable("The body itself is the token; send one.")
    name = _ring_entry(scheme.secret, secrets) if isinstance(scheme.secret, Keyring) else scheme.secret
    secret, family = _secret(name, secrets), family_of(scheme)
    made: Any = private_key(secret, family, scheme.key) if family else key(secret, scheme)
    if made is None:
        raise Unsignable(f"The secret {name} is no {'private ' if family else ''}key for {scheme.algorithm}.")
    at = int(request.received_at.timestamp())
    issuer = scheme.issuer
    if issuer is not None and not isinstance(issuer, str):
        value = RequestParts(request).value(*location(issuer))
        if value is None:
            raise Unsignable("The issuer stands in a part that the request does not have; give it with --header.")
        issuer = value.decode("latin-1")
    claims = {"iss": issuer, "aud": scheme.audience, "iat": at, "exp": at + _LIFETIME}
    token = jwt.encode({k: v for k, v in claims.items() if v is not None}, made, algorithm=scheme.algorithm)
    return _put(*location(scheme), scheme.prefix + token, request)


def _sign_issued(scheme: IssuedScheme, request: Request, secrets: Secrets) -> Headers:
    try:
        token = issue(scheme.secret, _LIFETIME, secrets, request.received_at).token
    except Unauthorized as error:
        raise Unsignable(error.failure.message) from None
    return _put(*location(scheme), scheme.prefix + token, request)


def _sign_message(scheme: MessageSignatureScheme, request: Request, secrets: Secrets) -> Headers:
    if isinstance(scheme.secret, Keyring):
        name = _ring_entry(scheme.secret, secrets)
        key_id = name.partition("/")[2]
    else:
        name = key_id = scheme.secret
    try:
        return list(signature_headers(scheme, request, _secret(name, secrets), key_id).items())
    except ValueError as error:
        raise Unsignable(str(error)) from None


# ---- signatures over a recipe ----


def _sign_recipe(scheme: HmacScheme | HashScheme | Asymmetric, request: Request, secrets: Secrets) -> Headers:
    where, name = location(scheme.signature)
    _header(where, name)
    if scheme.each is not None:
        raise Unsignable("The elements are signed one by one, in the body.")
    if scheme.signature.parser in ("pairs", "params") and not scheme.signature.take:
        raise Unsignable(f"The signature's parser is {scheme.signature.parser}, and `take` does not name its part.")
    made, named = _stamp(scheme, request)
    named |= _named_key(scheme, secrets)
    of = Signed((), {part: [value] for part, value in named.items()})
    parts = RequestParts(_with(request, made))

    def message(secret: bytes) -> bytes:
        return bytes_to_sign(scheme.sign, parts, of, (where, name), secret)

    try:
        proof = _PROOFS[scheme.scheme](scheme, Presented(parts, secrets), of, message)
    except (PartError, Malformed) as error:
        raise Unsignable(str(error)) from None
    except Unauthorized as error:
        raise Unsignable(error.failure.message) from None
    return [*made, (name, signature_values.write(proof, scheme.signature, named))]


Message = Callable[[bytes], bytes]


def _prove_hmac(scheme: HmacScheme, shown: Presented, of: Signed, message: Message) -> bytes:
    return hmac.digest(_first(keys_for(scheme, shown, of), scheme), message(b""), scheme.algorithm)


def _prove_hash(scheme: HashScheme, shown: Presented, of: Signed, message: Message) -> bytes:
    return digest_of(scheme.algorithm, message(_first(keys_for(scheme, shown, of), scheme)))


def _prove_public(scheme: Asymmetric, shown: Presented, of: Signed, message: Message) -> bytes:
    secret = scheme.secret
    if isinstance(secret, Certificate):
        raise Unsignable("The signer's certificate is fetched from its URL, so nobody else can sign.")
    name = _ring_entry(secret, shown.secrets) if isinstance(secret, Keyring) else secret
    prefix = getattr(scheme, "key_prefix", "").encode()
    text = _secret(name, shown.secrets).strip().removeprefix(prefix)
    found = private_key(text, family_of(scheme), scheme.key)
    if found is None:
        raise Unsignable(f"The secret {name} is no private key for {scheme.scheme} in {scheme.key}.")
    return signed(scheme, found, message(b""))


_PROOFS: Mapping[str, Callable[[Any, Presented, Signed, Message], bytes]] = {
    "hmac": _prove_hmac,
    "hash": _prove_hash,
    "rsa": _prove_public,
    "ecdsa": _prove_public,
    "ed25519": _prove_public,
}


def _first(found: list[bytes], scheme: HmacScheme | HashScheme) -> bytes:
    if not found:
        raise Unsignable(f"There is no usable secret {scheme.secret}.")
    return found[0]


def _named_key(scheme: HmacScheme | HashScheme | Asymmetric, secrets: Secrets) -> dict[str, str]:
    """The part of the signature that names a key of the keyring."""
    if not isinstance(scheme.secret, Keyring) or scheme.secret.by.signature is None:
        return {}
    return {scheme.secret.by.signature: _ring_entry(scheme.secret, secrets).partition("/")[2]}


def _ring_entry(ring: Keyring, secrets: Secrets) -> str:
    found = next((name for name in secrets if name.startswith(f"{ring.keyring}/")), None)
    if found is None:
        raise Unsignable(f"There is no usable secret {ring.keyring}/NAME.")
    return found


def _stamp(scheme: HmacScheme | HashScheme | Asymmetric, request: Request) -> tuple[Headers, dict[str, str]]:
    """The time of signing, as a header to add or as a named part of the signature."""
    if scheme.timestamp is None:
        return [], {}
    where, name = location(scheme.timestamp)
    written = {name: signature_timestamps.write(request.received_at, scheme.timestamp.unit)}
    if scheme.timestamp.expires is not None:
        end = request.received_at + timedelta(seconds=_LIFETIME)
        written[scheme.timestamp.expires] = signature_timestamps.write(end, scheme.timestamp.unit)
    if where == "signature":
        return [], written
    if where == "header":
        return [(name, value) for name, value in written.items() if not request.header_values(name)], {}
    return [], {}


# ---- what they share ----


def _secret(name: str, secrets: Secrets) -> bytes:
    known = [secret for secret in secrets.get(name, ()) if secret]
    if not known:
        raise Unsignable(f"There is no usable secret {name}.")
    return known[0]


def _put(where: str, name: str, value: str, request: Request) -> Headers:
    """A token as a header; one that stands elsewhere must be there already."""
    if where == "header":
        return [(name, value)]
    try:
        present = RequestParts(request).value(where, name) == value.encode("latin-1")  # type: ignore[arg-type]
    except PartError:
        present = False
    if not present:
        _header(where, name)
    return []


def _header(where: str, name: str) -> None:
    if where != "header":
        raise Unsignable(f"The proof stands in the {where} ({name}), and only headers can be made.")


def _with(request: Request, headers: Headers) -> Request:
    added = tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers)
    return replace(request, headers=request.headers + added)


_SCHEMES: Mapping[str, Callable[[Any, Request, Secrets], Headers]] = {
    "none": _sign_none,
    "address": _sign_none,
    "token": _sign_token,
    "basic": _sign_basic,
    "ws_security": _sign_ws_security,
    "jwt": _sign_jwt,
    "issued": _sign_issued,
    "hmac": _sign_recipe,
    "hash": _sign_recipe,
    "rsa": _sign_recipe,
    "ecdsa": _sign_recipe,
    "ed25519": _sign_recipe,
    "message_signature": _sign_message,
}
