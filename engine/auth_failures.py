"""Failures of class auth, and what schemes share: see engine/signatures.py for the list of codes."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from engine.failures import Failure, Unauthorized
from engine.request_parts import BodyUnread, PartError, Repeated, RequestParts, Where, described

Secrets = Mapping[str, tuple[bytes, ...]]


class Presented(NamedTuple):
    """What a scheme looks at: the request, the connection's secrets, and certificates by their URL."""

    parts: RequestParts
    secrets: Secrets
    fetched: Mapping[str, bytes] = MappingProxyType({})


class KeyNeeded(Unauthorized):
    """The request can be judged only with the certificate at `url`, which is not at hand.

    The URL is https, of a host that the provider file believes, and names no port, query or credentials.
    Whoever can fetch it verifies again with it; to everybody else the request is unauthorized.
    """

    def __init__(self, url: str) -> None:
        super().__init__(
            Failure("auth", "key_unavailable", "The signer's certificate is not at hand.", "Verify the request again.")
        )
        self.url = url


def refused(code: str, message: str, next_step: str, **facts: Any) -> Unauthorized:
    return Unauthorized(Failure("auth", code, message, next_step, facts=facts))


def secret_missing(name: str) -> Unauthorized:
    sentence = f"The connection has no usable secret {name}."
    return refused("secret_missing", sentence, f"Give the connection the secret {name}, then verify again.")


def body_unreadable(error: PartError) -> Unauthorized:
    return refused("body_unreadable", str(error), "Mend the body at the sender.")


def known(name: str, secrets: Secrets) -> list[bytes]:
    """Every value of a secret that is not empty. Raises Unauthorized where there is none."""
    found = [secret for secret in secrets.get(name, ()) if secret]
    if not found:
        raise secret_missing(name)
    return found


def matches(given: Sequence[bytes], right: Sequence[bytes]) -> bool:
    """Whether one of these is one of those, in constant time."""
    if len(given) == len(right) == 1:
        return hmac.compare_digest(given[0], right[0])
    return any([hmac.compare_digest(one, other) for one in given for other in right])  # noqa: C419 no early end


def token_at(parts: RequestParts, where: Where, name: str, prefix: str) -> bytes:
    """The token without its prefix, which is read in any case. Raises Unauthorized."""
    try:
        value = parts.value(where, name)
    except BodyUnread as error:
        raise body_unreadable(error) from None
    except Repeated as error:
        raise refused("token_mismatch", str(error), "Send the token once.") from None
    before = prefix.encode()
    if value and value[: len(before)].lower() == before.lower():
        value = value[len(before) :]
    elif value:
        sentence = f"The token in the {described(where, name)} lacks its prefix."
        raise refused("token_mismatch", sentence, SAME_TOKEN)
    if not value:
        sentence = f"There is no token in the {described(where, name)}."
        raise refused("token_missing", sentence, "Configure the token at the sender.")
    return value


SAME_TOKEN = "Configure the same token on both sides."  # noqa: S105
