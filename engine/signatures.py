"""Whether a request proves who sent it.

    Unauthorized (class auth)
    ├── secret_missing            the connection has no usable secret for any scheme
    ├── token_missing, credentials_missing, signature_missing, timestamp_missing
    ├── body_unreadable           the proof stands in a body that cannot be read
    ├── credentials_malformed, signature_malformed, timestamp_malformed
    ├── token_mismatch, credentials_mismatch, signature_mismatch
    └── timestamp_outside_tolerance

Of several alternatives that all fail, the one furthest down that list is told. Secrets and signatures are
compared in constant time and never stand in a failure.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from engine import signature_timestamps, signature_values
from engine.failures import Failure, Unauthorized
from engine.locations import Locations, location, locations, timestamp_location
from engine.messages import Request
from engine.model import AllOf, AnyOf, Auth, BasicScheme, HmacScheme, NoneScheme, Timestamp, TokenScheme
from engine.recipes import bytes_to_sign
from engine.request_parts import BodyUnread, PartError, Repeated, RequestParts, described
from engine.signature_values import Malformed, Signed
from engine.signing import Unsignable, sign
from engine.signing_keys import UnusableSecret, keys, schemes, schemes_of, secret_names, usable_secret

Secrets = Mapping[str, tuple[bytes, ...]]

_TELLING = ("missing", "unreadable", "malformed", "mismatch", "tolerance")


def verify(auth: Auth, request: Request, secrets: Secrets) -> None:
    """Returns when the request proves its sender; raises Unauthorized otherwise, and nothing else."""
    _check(auth, RequestParts(request), secrets)


def _check(auth: Auth, parts: RequestParts, secrets: Secrets) -> None:
    if isinstance(auth, AnyOf):
        _check_any(auth, parts, secrets)
    elif isinstance(auth, AllOf):
        for one in auth.all:
            _check(one, parts, secrets)
    else:
        _SCHEMES[auth.scheme](auth, parts, secrets)


def _check_any(auth: AnyOf, parts: RequestParts, secrets: Secrets) -> None:
    refused: list[Unauthorized] = []
    for one in auth.any:
        try:
            return _check(one, parts, secrets)
        except Unauthorized as error:
            refused.append(error)
    raise max(refused, key=_telling)


def _telling(refused: Unauthorized) -> int:
    code = refused.failure.code
    return -1 if code == "secret_missing" else _TELLING.index(code.rsplit("_", 1)[1])


# ---- none, token, basic ----------------------------------------


def _check_none(scheme: NoneScheme, parts: RequestParts, secrets: Secrets) -> None:
    return None


def _check_token(scheme: TokenScheme, parts: RequestParts, secrets: Secrets) -> None:
    known = _known(scheme.secret, secrets)
    where, name = location(scheme)
    try:
        value = parts.value(where, name)
    except BodyUnread as error:
        raise _body_unreadable(error) from None
    except Repeated as error:
        raise _refused("token_mismatch", str(error), "Send the token once.") from None
    prefix = scheme.prefix.encode()
    if value and value[: len(prefix)].lower() == prefix.lower():
        value = value[len(prefix) :]
    elif value:
        raise _refused("token_mismatch", f"The token in the {described(where, name)} lacks its prefix.", _SAME_TOKEN)
    if not value:
        sentence = f"There is no token in the {described(where, name)}."
        raise _refused("token_missing", sentence, "Configure the token at the sender.")
    if not _matches([value], known):
        raise _refused("token_mismatch", f"The token in the {described(where, name)} is not known.", _SAME_TOKEN)


def _check_basic(scheme: BasicScheme, parts: RequestParts, secrets: Secrets) -> None:
    known = _known(scheme.secret, secrets)
    try:
        value = parts.value("header", "authorization")
    except Repeated as error:
        raise _refused("credentials_malformed", str(error), "Send the Authorization header once.") from None
    if not value:
        sentence = "There is no Authorization header."
        raise _refused("credentials_missing", sentence, "Configure user and password at the sender.")
    kind, _, written = value.partition(b" ")
    try:
        given = base64.b64decode(written.strip(), validate=True)
    except binascii.Error:
        given = b""
    if kind.lower() != b"basic" or b":" not in given:
        sentence = "The Authorization header does not hold Basic credentials."
        raise _refused("credentials_malformed", sentence, "Send user and password as HTTP Basic (RFC 7617).")
    if not _matches([given], known):
        sentence = "User and password are not known."
        raise _refused("credentials_mismatch", sentence, "Configure the same user and password on both sides.")


# ---- hmac ----------------------------------------


def _check_hmac(scheme: HmacScheme, parts: RequestParts, secrets: Secrets) -> None:
    candidates = keys(scheme, secrets)
    if not candidates:
        raise _secret_missing(scheme.secret)
    try:
        signed = _signature(scheme, parts)
        moment = _moment(scheme.timestamp, parts, signed) if scheme.timestamp else None
        message = bytes_to_sign(scheme.sign, parts, signed, location(scheme.signature))
    except BodyUnread as error:
        raise _body_unreadable(error) from None
    except (PartError, Malformed) as error:
        raise _refused("signature_malformed", str(error), "Sign the request as the provider file says.") from None
    if not _matches(signed.candidates, [hmac.digest(key, message, scheme.algorithm) for key in candidates]):
        sentence = "The signature does not fit the request."
        step = "Compare the secret on both sides, and the public URL if it is signed; then verify again."
        raise _refused("signature_mismatch", sentence, step)
    if scheme.timestamp and moment is not None:
        _check_age(scheme.timestamp, signature_timestamps.age(moment, parts.request.received_at))


def _signature(scheme: HmacScheme, parts: RequestParts) -> Signed:
    where, name = location(scheme.signature)
    value = parts.value(where, name)
    if not value:
        sentence = f"There is no signature in the {described(where, name)}."
        raise _refused("signature_missing", sentence, "Turn signing on at the sender.")
    return signature_values.read(value, scheme.signature)


def _moment(timestamp: Timestamp, parts: RequestParts, signed: Signed) -> timedelta:
    where, name = timestamp_location(timestamp)
    try:
        value = _part_of(signed, name) if where == "signature" else parts.value(where, name)
    except (Repeated, Malformed) as error:
        raise _refused("timestamp_malformed", str(error), "Send the time of signing once.") from None
    if not value:
        sentence = f"There is no time of signing in the {described(where, name)}."
        raise _refused("timestamp_missing", sentence, "Send the time of signing.")
    moment = signature_timestamps.read(value, timestamp.unit)
    if moment is None:
        sentence = f"The time of signing in the {described(where, name)} is not in the unit {timestamp.unit}."
        raise _refused("timestamp_malformed", sentence, "Send the time of signing in that unit.")
    return moment


def _part_of(signed: Signed, name: str) -> bytes | None:
    found = signed.part(name)
    return None if found is None else found.encode()


def _check_age(timestamp: Timestamp, age: timedelta) -> None:
    seconds = age.total_seconds()
    if -timestamp.future <= seconds <= timestamp.tolerance:
        return
    distance = f"{abs(seconds):.0f} seconds {'before' if seconds > 0 else 'after'} it was received"
    raise _refused(
        "timestamp_outside_tolerance",
        f"The request was signed {distance}; allowed are {timestamp.tolerance} before and {timestamp.future} after.",
        "Set the sender's clock, or have it sign each attempt anew.",
        age_seconds=int(seconds),
        tolerance=timestamp.tolerance,
        future=timestamp.future,
    )


_SCHEMES: Mapping[str, Callable[[Any, RequestParts, Secrets], None]] = {
    "none": _check_none,
    "token": _check_token,
    "basic": _check_basic,
    "hmac": _check_hmac,
}

# ---- what they share ----------------------------------------

_SAME_TOKEN = "Configure the same token on both sides."  # noqa: S105


def _known(name: str, secrets: Secrets) -> list[bytes]:
    known = [secret for secret in secrets.get(name, ()) if secret]
    if not known:
        raise _secret_missing(name)
    return known


def _matches(given: list[bytes] | tuple[bytes, ...], known: list[bytes]) -> bool:
    if len(given) == len(known) == 1:
        return hmac.compare_digest(given[0], known[0])
    return any([hmac.compare_digest(one, other) for one in given for other in known])  # noqa: C419 no early end


def _secret_missing(name: str) -> Unauthorized:
    sentence = f"The connection has no usable secret {name}."
    return _refused("secret_missing", sentence, f"Give the connection the secret {name}, then verify again.")


def _body_unreadable(error: PartError) -> Unauthorized:
    return _refused("body_unreadable", str(error), "Mend the body at the sender.")


def _refused(code: str, message: str, next_step: str, **facts: Any) -> Unauthorized:
    return Unauthorized(Failure("auth", code, message, next_step, facts=facts))


__all__ = [
    "Locations",
    "Secrets",
    "Unsignable",
    "UnusableSecret",
    "location",
    "locations",
    "schemes",
    "schemes_of",
    "secret_names",
    "sign",
    "timestamp_location",
    "usable_secret",
    "verify",
]
