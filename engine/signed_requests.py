"""Signatures over a recipe of the request's parts: hmac, hash, rsa, ecdsa, ed25519."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from engine import signature_timestamps, signature_values
from engine.auth_failures import Presented, body_unreadable, matches, refused, secret_missing
from engine.auth_model import (
    Certificate,
    HashScheme,
    HmacScheme,
    Keyring,
    SignedScheme,
    Timestamp,
)
from engine.certificates import key_of
from engine.key_families import Asymmetric, family_of
from engine.locations import location
from engine.recipes import bytes_to_sign, digest_of, pieces_to_sign
from engine.request_parts import BodyUnread, PartError, Repeated, RequestParts, described
from engine.signature_values import Malformed, Signed
from engine.signing_keys import key_object, keys

if TYPE_CHECKING:
    from engine.public_keys import PublicKey

MAX_ELEMENTS = 100
"""The most elements that are signed one by one: each is found anew in the body."""

Message = Callable[[bytes], bytes]
"""The bytes to sign; of a plain hash they hold the secret that is handed in."""


def check_signed(scheme: HmacScheme | HashScheme | Asymmetric, shown: Presented) -> None:
    """Raises Unauthorized, KeyNeeded among them."""
    if isinstance(scheme.secret, str) and not _usable(scheme, shown, scheme.secret):
        raise secret_missing(scheme.secret)
    try:
        for parts in _elements(scheme, shown.parts):
            _check(scheme, shown._replace(parts=parts))
    except BodyUnread as error:
        raise body_unreadable(error) from None
    except (PartError, Malformed) as error:
        raise refused("signature_malformed", str(error), "Sign the request as the provider file says.") from None


def _elements(scheme: SignedScheme, parts: RequestParts) -> list[RequestParts]:
    if scheme.each is None:
        return [parts]
    found = parts.elements(scheme.each)
    if not 0 < len(found) <= MAX_ELEMENTS:
        raise Malformed(f"The body has no list of up to {MAX_ELEMENTS} elements at {scheme.each}.")
    return found


def _check(scheme: HmacScheme | HashScheme | Asymmetric, shown: Presented) -> None:
    parts = shown.parts
    signed = _signature(scheme, parts)
    place = location(scheme.signature)
    moments = _moments(scheme.timestamp, parts, signed) if scheme.timestamp else None

    def message(secret: bytes) -> bytes:
        return bytes_to_sign(scheme.sign, parts, signed, place, secret)

    if not _MATCH[scheme.scheme](scheme, shown, signed, message):
        sentence = "The signature does not fit the request."
        step = "Compare the secret on both sides, and the public URL if it is signed; then verify again."
        raise refused("signature_mismatch", sentence, step)
    if scheme.timestamp and moments:
        _check_moments(scheme.timestamp, moments, parts)


# ---- secrets and keys ----


def _usable(scheme: HmacScheme | HashScheme | Asymmetric, shown: Presented, name: str) -> list[Any]:
    """The keys, or public keys, that the values of a secret become."""
    if isinstance(scheme, Asymmetric):
        return [found for text in shown.secrets.get(name, ()) if (found := key_object(text, scheme))]
    return list(keys(scheme, shown.secrets, name))


def keys_for(scheme: HmacScheme | HashScheme | Asymmetric, shown: Presented, signed: Signed) -> list[Any]:
    """Every key that may have signed; of a keyring those of the one name that the request chooses.

    Raises Unauthorized and PartError.
    """
    secret = scheme.secret
    if isinstance(secret, Certificate):
        assert isinstance(scheme, Asymmetric)
        return [key_of(secret, shown, family_of(scheme))]
    if isinstance(secret, Keyring):
        name = f"{secret.keyring}/{chosen(secret, shown.parts, signed)}"
        found = _usable(scheme, shown, name)
        if not found:
            sentence = (
                f"The connection's keyring {secret.keyring} has no usable key of the name that the request gives."
            )
            raise refused("key_unknown", sentence, f"Give the connection the secret {secret.keyring}/NAME.")
        return found
    return _usable(scheme, shown, secret) if secret is not None else [b""]


def chosen(ring: Keyring, parts: RequestParts, signed: Signed) -> str:
    """The name by which a request chooses one secret of a keyring. Raises Unauthorized and PartError."""
    where, name = location(ring.by)
    value = value_at(parts, signed, where, name)
    if not value:
        sentence = f"There is no name of a key in the {described(where, name)}."
        raise refused("signature_missing", sentence, "Send the name of the key that signed.")
    return value.decode("utf-8", "replace")


def value_at(parts: RequestParts, signed: Signed, where: Any, name: str) -> bytes | None:
    """A value of the request or a part of its signature. Raises PartError and Malformed."""
    if where != "signature":
        return parts.value(where, name)
    found = signed.part(name)
    return None if found is None else found.encode()


def _match_hmac(scheme: HmacScheme, shown: Presented, signed: Signed, message: Message) -> bool:
    if not isinstance(shown.parts.request.body, bytes):
        return _match_streamed(scheme, shown, signed, lambda key: hmac.new(key, digestmod=scheme.algorithm))
    data = message(b"")
    found = keys_for(scheme, shown, signed)
    return matches(signed.candidates, [hmac.digest(key, data, scheme.algorithm) for key in found])


def _match_hash(scheme: HashScheme, shown: Presented, signed: Signed, message: Message) -> bool:
    if not isinstance(shown.parts.request.body, bytes):
        return _match_streamed(scheme, shown, signed, lambda _: _hash(scheme.algorithm))
    found = keys_for(scheme, shown, signed)
    return matches(signed.candidates, [digest_of(scheme.algorithm, message(secret)) for secret in found])


def _match_streamed(
    scheme: HmacScheme | HashScheme, shown: Presented, signed: Signed, begin: Callable[[bytes], Any]
) -> bool:
    found = []
    for key in keys_for(scheme, shown, signed):
        hashed = begin(key)
        for piece in pieces_to_sign(scheme.sign, shown.parts, signed, location(scheme.signature), key):
            hashed.update(piece)
        found.append(hashed.digest())
    return matches(signed.candidates, found)


def _hash(name: str) -> Any:
    return hashlib.blake2b(digest_size=64) if name == "blake2b_512" else hashlib.new(name, usedforsecurity=False)


def _match_public(scheme: Asymmetric, shown: Presented, signed: Signed, message: Message) -> bool:
    from engine.public_keys import verifies

    data = message(b"")
    found: list[PublicKey] = keys_for(scheme, shown, signed)
    return any(verifies(scheme, key, one, data) for one in signed.candidates for key in found)


_MATCH: Mapping[str, Callable[[Any, Presented, Signed, Message], bool]] = {
    "hmac": _match_hmac,
    "hash": _match_hash,
    "rsa": _match_public,
    "ecdsa": _match_public,
    "ed25519": _match_public,
}

# ---- signature and time ----


def _signature(scheme: SignedScheme, parts: RequestParts) -> Signed:
    where, name = location(scheme.signature)
    value = parts.value(where, name)
    if not value:
        sentence = f"There is no signature in the {described(where, name)}."
        raise refused("signature_missing", sentence, "Turn signing on at the sender.")
    return signature_values.read(value, scheme.signature)


def _moments(timestamp: Timestamp, parts: RequestParts, signed: Signed) -> tuple[timedelta, timedelta | None]:
    """When it was signed, and where the scheme has it, until when that holds."""
    where, name = location(timestamp)
    made = _moment(timestamp, parts, signed, where, name)
    return made, None if timestamp.expires is None else _moment(timestamp, parts, signed, where, timestamp.expires)


def _moment(timestamp: Timestamp, parts: RequestParts, signed: Signed, where: Any, name: str) -> timedelta:
    try:
        value = value_at(parts, signed, where, name)
    except (Repeated, Malformed) as error:
        raise refused("timestamp_malformed", str(error), "Send the time of signing once.") from None
    if not value:
        sentence = f"There is no time of signing in the {described(where, name)}."
        raise refused("timestamp_missing", sentence, "Send the time of signing.")
    moment = signature_timestamps.read(value, timestamp.unit)
    if moment is None:
        sentence = f"The time of signing in the {described(where, name)} is not in the unit {timestamp.unit}."
        raise refused("timestamp_malformed", sentence, "Send the time of signing in that unit.")
    return moment


def _check_moments(timestamp: Timestamp, moments: tuple[timedelta, timedelta | None], parts: RequestParts) -> None:
    made, expires = moments
    at = parts.request.received_at
    signature_timestamps.check_age(signature_timestamps.age(made, at), timestamp.tolerance, timestamp.future)
    if expires is not None and signature_timestamps.age(expires, at) > timedelta(0):
        sentence = "The request came after the time until which its signature holds."
        raise refused("signature_expired", sentence, "Set the sender's clock, or have it sign each attempt anew.")
