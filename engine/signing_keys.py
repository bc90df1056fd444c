"""Which secrets a provider file asks for, which of them are fit for use, and the keys they become."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping

from engine.model import AllOf, AnyOf, Auth, BasicScheme, HmacScheme, NoneScheme, TokenScheme

Scheme = NoneScheme | TokenScheme | BasicScheme | HmacScheme

SHORTEST = {"hmac": 16, "token": 8, "basic": 8}
"""The fewest characters of a secret, by scheme."""


class UnusableSecret(ValueError):
    """A secret that must not be loaded. Its sentence never holds the secret."""


def schemes(auth: Auth) -> Iterator[Scheme]:
    """Every scheme of a tree of any and all, in order."""
    if isinstance(auth, AnyOf | AllOf):
        for one in auth.any if isinstance(auth, AnyOf) else auth.all:
            yield from schemes(one)
    else:
        yield auth


def schemes_of(auth: Auth, name: str) -> tuple[Scheme, ...]:
    """The schemes that use the secret of this name."""
    return tuple(one for one in schemes(auth) if not isinstance(one, NoneScheme) and one.secret == name)


def secret_names(auth: Auth) -> set[str]:
    """The names of the secrets that a connection may need."""
    return {str(one.secret) for one in schemes(auth) if not isinstance(one, NoneScheme)}


def usable_secret(text: str, scheme: Scheme) -> None:
    """Raises UnusableSecret for a secret that is empty, too short, or not what the scheme can use."""
    if isinstance(scheme, NoneScheme):
        return
    if text != text.strip():
        raise UnusableSecret("The secret begins or ends with white space.")
    bare = text.removeprefix(scheme.key_prefix) if isinstance(scheme, HmacScheme) else text
    fewest = SHORTEST[scheme.scheme]
    if len(bare) < fewest:
        raise UnusableSecret(f"The secret has {len(bare)} characters; {fewest} are the fewest for {scheme.scheme}.")
    if isinstance(scheme, BasicScheme) and not all(text.partition(":")[::2]):
        raise UnusableSecret("The secret of basic is written user:password.")
    if isinstance(scheme, HmacScheme) and not key(text.encode(), scheme):
        raise UnusableSecret(f"The secret is not {scheme.key}.")


def keys(scheme: HmacScheme, secrets: Mapping[str, tuple[bytes, ...]]) -> list[bytes]:
    """Every key that may have signed; secrets that do not decode are passed over."""
    return [made for secret in secrets.get(scheme.secret, ()) if (made := key(secret, scheme))]


def key(secret: bytes, scheme: HmacScheme) -> bytes | None:
    """The key that a secret's text stands for; None where it is empty or not in the agreed encoding."""
    bare = secret.removeprefix(scheme.key_prefix.encode())
    if scheme.key == "utf8":
        return bare or None
    try:
        if scheme.key == "hex":
            return binascii.unhexlify(bare) or None
        return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4), strict_mode=True) or None
    except binascii.Error:
        return None
