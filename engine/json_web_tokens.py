"""JSON Web Tokens (RFC 7519): those of senders, and those that a feed with `issue` gives out."""

from __future__ import annotations

import binascii
import hmac
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import jwt
from jwt.exceptions import InvalidSignatureError, PyJWTError
from jwt.warnings import InsecureKeyLengthWarning

from engine.auth_failures import SAME_TOKEN, Presented, Secrets, known, refused, secret_missing, token_at
from engine.auth_model import IssuedScheme, JwtScheme, Keyring
from engine.decoding.json_text import decode_value
from engine.failures import Refusal
from engine.key_families import family_of
from engine.locations import location
from engine.request_parts import PartError
from engine.signature_timestamps import check_age
from engine.signature_values import Malformed, Signed
from engine.signed_requests import chosen
from engine.signing_keys import key, key_object

TOKEN_LIMIT = 8192
"""The most bytes of a token that stands in a header or a field."""

# Secrets are held to signing_keys.SHORTEST when they are loaded; a warning for each token helps nobody.
warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)
_JWS = jwt.PyJWS()
_ISSUED_KEY = b"tiffin issued token"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Issued(NamedTuple):
    """A token and when it ends: for `$issued` in replies."""

    token: str
    expires_at: datetime
    lifetime: int

    def to_json(self) -> dict[str, Any]:
        """Seconds as text, like every number that expressions see."""
        at = self.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"token": self.token, "expires_at": at, "expires_in": str(self.lifetime)}


def check_jwt(scheme: JwtScheme, shown: Presented) -> None:
    """Raises Unauthorized."""
    where, name = location(scheme)
    if scheme.raw_body:
        token = shown.parts.request.body.strip(b' \t\r\n"')
    else:
        token = token_at(shown.parts, where, name, scheme.prefix)
        if len(token) > TOKEN_LIMIT:
            raise refused("token_malformed", "The token is too long to be one.", _SEND)
    if not token:
        raise refused("token_missing", "The body, which should be the token, is empty.", _SEND)
    _check_claims(scheme, shown, _claims(token, scheme.algorithm, _keys(scheme, shown)))


def check_issued(scheme: IssuedScheme, shown: Presented) -> None:
    """Raises Unauthorized: token_expired tells the sender to log in again."""
    found = [_issuing_key(secret) for secret in known(scheme.secret, shown.secrets)]
    token = token_at(shown.parts, *location(scheme), scheme.prefix)
    if len(token) > TOKEN_LIMIT:
        raise refused("token_malformed", "The token is too long to be one.", _SEND)
    claims = _claims(token, "HS256", found)
    if _seconds(claims, "exp", needed=True) <= _now(shown):
        raise refused("token_expired", "The token has ended.", "Log in again.")


def issue(name: str, lifetime: int, secrets: Secrets, at: datetime) -> Issued:
    """A token that holds for `lifetime` seconds from `at`, made with the newest value of a secret.

    The same arguments give the same token. Raises Unauthorized where there is no usable secret.
    """
    made = _issuing_key(known(name, secrets)[0])
    begin = int((at - _EPOCH).total_seconds())
    token = jwt.encode({"iat": begin, "exp": begin + lifetime}, made, algorithm="HS256")
    return Issued(token, _EPOCH + timedelta(seconds=begin + lifetime), lifetime)


def _issuing_key(secret: bytes) -> bytes:
    """A key of its own, so that no signature of another scheme with the same secret passes for a token."""
    return hmac.digest(secret, _ISSUED_KEY, "sha256")


def _keys(scheme: JwtScheme, shown: Presented) -> list[Any]:
    name = scheme.secret
    if isinstance(name, Keyring):
        try:
            name = f"{name.keyring}/{chosen(name, shown.parts, Signed(()))}"
        except (PartError, Malformed) as error:
            raise refused("token_malformed", str(error), _SEND) from None
    values = shown.secrets.get(name, ())
    if family_of(scheme):
        found: list[Any] = [made for secret in values if (made := key_object(secret, scheme))]
    else:
        found = [made for secret in values if (made := key(secret, scheme))]
    if not found and isinstance(scheme.secret, Keyring):
        sentence = f"The connection's keyring {scheme.secret.keyring} has no usable key of the name that is given."
        raise refused("key_unknown", sentence, f"Give the connection the secret {scheme.secret.keyring}/NAME.")
    if not found:
        raise secret_missing(name)
    return found


def _claims(token: bytes, algorithm: str, found: list[Any]) -> Mapping[str, Any]:
    """The claims of a token that one of the keys signed. Raises Unauthorized."""
    for one in found:
        try:
            payload: bytes = _JWS.decode_complete(token, one, algorithms=[algorithm])["payload"]
        except InvalidSignatureError:
            continue
        except (PyJWTError, ValueError, TypeError, binascii.Error, RecursionError):
            raise refused("token_malformed", f"The token is no JSON Web Token in {algorithm}.", _SEND) from None
        return _object(payload)
    raise refused("token_mismatch", "The token was not made with a secret of the connection.", SAME_TOKEN)


def _object(payload: bytes) -> Mapping[str, Any]:
    try:
        claims = decode_value(payload)
    except Refusal:
        claims = None
    if not isinstance(claims, dict):
        raise refused("token_malformed", "The token's payload is no JSON object of claims.", _SEND)
    return claims


def _check_claims(scheme: JwtScheme, shown: Presented, claims: Mapping[str, Any]) -> None:
    now = _now(shown)
    if scheme.issuer is not None and not _is(claims.get("iss"), _issuer(scheme, shown)):
        raise refused("token_mismatch", "The token's issuer (iss) is another one.", SAME_TOKEN)
    audience = claims.get("aud")
    if scheme.audience is not None and not any(
        _is(one, scheme.audience.encode()) for one in (audience if isinstance(audience, list) else [audience])
    ):
        raise refused("token_mismatch", "The token is for another audience (aud).", SAME_TOKEN)
    if "exp" in claims and _seconds(claims, "exp") + scheme.future <= now:
        raise refused("token_expired", "The token has ended (exp).", "Set the sender's clock, or make the token anew.")
    if "nbf" in claims and _seconds(claims, "nbf") - scheme.future > now:
        raise refused("timestamp_outside_tolerance", "The token is not valid yet (nbf).", "Set the sender's clock.")
    if scheme.tolerance is not None:
        age = timedelta(seconds=now - _seconds(claims, "iat", needed=True))
        check_age(age, scheme.tolerance, scheme.future)


def _issuer(scheme: JwtScheme, shown: Presented) -> bytes:
    assert scheme.issuer is not None
    if isinstance(scheme.issuer, str):
        return scheme.issuer.encode()
    try:
        return shown.parts.value(*location(scheme.issuer)) or b""
    except PartError as error:
        raise refused("token_malformed", str(error), _SEND) from None


def _is(claim: object, wanted: bytes) -> bool:
    return bool(wanted) and isinstance(claim, str) and hmac.compare_digest(claim.encode("utf-8", "replace"), wanted)


def _now(shown: Presented) -> float:
    return (shown.parts.request.received_at - _EPOCH).total_seconds()


def _seconds(claims: Mapping[str, Any], name: str, needed: bool = False) -> float:
    """A NumericDate. Numbers were kept as their source text."""
    value = claims.get(name)
    if value is None and needed:
        raise refused("timestamp_missing", f"The token has no claim {name}.", f"Put {name} into the token.")
    try:
        seconds = float(value) if isinstance(value, str) and len(value) <= 20 else float("nan")
    except ValueError:
        seconds = float("nan")
    if not 0 <= seconds < 1e11:
        raise refused("timestamp_malformed", f"The token's claim {name} is no time in seconds.", _SEND)
    return seconds


_SEND = "Send a token as the provider file says."
