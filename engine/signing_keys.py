"""Which secrets a provider file asks for, which of them are fit for use, and the keys they become."""

from __future__ import annotations

import binascii
from collections.abc import Iterator

from engine.auth_failures import Secrets
from engine.auth_model import (
    AddressScheme,
    AllOf,
    AnyOf,
    Auth,
    BasicScheme,
    Certificate,
    HashScheme,
    HmacScheme,
    JwtScheme,
    Keyring,
    MessageSignatureScheme,
    NoneScheme,
    Scheme,
    WsSecurityScheme,
)
from engine.key_families import Asymmetric, decoded, family_of

SHORTEST = {"hmac": 16, "hash": 16, "jwt": 16, "message_signature": 16, "issued": 32, "token": 8, "basic": 8,
            "ws_security": 8}  # fmt: skip
"""The fewest characters of a shared secret, by scheme."""

Shared = HmacScheme | JwtScheme | MessageSignatureScheme


class UnusableSecret(ValueError):
    """A secret that must not be loaded. Its sentence never holds the secret."""


def schemes(auth: Auth) -> Iterator[Scheme]:
    """Every scheme of a tree of any and all, in order."""
    if isinstance(auth, AnyOf | AllOf):
        for one in auth.any if isinstance(auth, AnyOf) else auth.all:
            yield from schemes(one)
    else:
        yield auth


def secret_of(scheme: Scheme) -> str | Keyring | Certificate | None:
    """What a scheme says its secret is; None where it has none."""
    return None if isinstance(scheme, NoneScheme | AddressScheme) else scheme.secret


def schemes_of(auth: Auth, name: str) -> tuple[Scheme, ...]:
    """The schemes that use the secret of this name; that of a keyring is `ring/value`."""
    ring, slash, value = name.partition("/")
    wanted = ring if slash and value else None

    def uses(secret: str | Keyring | Certificate | None) -> bool:
        return secret.keyring == wanted if isinstance(secret, Keyring) else secret == name

    return tuple(one for one in schemes(auth) if uses(secret_of(one)))


def secret_names(auth: Auth) -> set[str]:
    """The names of the secrets that a connection may need; those of a keyring as `ring/…`."""
    found = (secret_of(one) for one in schemes(auth))
    return {
        f"{secret.keyring}/…" if isinstance(secret, Keyring) else secret
        for secret in found
        if isinstance(secret, str | Keyring)
    }


def usable_secret(text: str, scheme: Scheme) -> None:
    """Raises UnusableSecret for a secret that is empty, too short, or not what the scheme can use."""
    if isinstance(scheme, NoneScheme | AddressScheme):
        return
    if _is_public(scheme):
        _usable_public_key(text, scheme)
        return
    if text != text.strip():
        raise UnusableSecret("The secret begins or ends with white space.")
    bare = text.removeprefix(getattr(scheme, "key_prefix", ""))
    fewest = SHORTEST[scheme.scheme]
    if len(bare) < fewest:
        raise UnusableSecret(f"The secret has {len(bare)} characters; {fewest} are the fewest for {scheme.scheme}.")
    if isinstance(scheme, BasicScheme | WsSecurityScheme) and not all(text.partition(":")[::2]):
        raise UnusableSecret(f"The secret of {scheme.scheme} is written user:password.")
    if isinstance(scheme, HmacScheme | JwtScheme | MessageSignatureScheme) and not key(text.encode(), scheme):
        raise UnusableSecret(f"The secret is not {scheme.key}.")


def _is_public(scheme: Scheme) -> bool:
    return isinstance(scheme, Asymmetric | JwtScheme | MessageSignatureScheme) and bool(family_of(scheme))


def _usable_public_key(text: str, scheme: Scheme) -> None:
    assert isinstance(scheme, Asymmetric | JwtScheme | MessageSignatureScheme)
    if "PRIVATE KEY" in text:
        raise UnusableSecret("This is a private key, which stays with the sender; give the public one.")
    if key_object(text.encode(), scheme) is None:
        raise UnusableSecret(
            f"The secret is no public key for {scheme.scheme} in {scheme.key} "
            "(P-256 for ecdsa; 2048 bits or more for rsa)."
        )


def key_object(secret: bytes, scheme: Asymmetric | JwtScheme | MessageSignatureScheme) -> object | None:
    """The public key that a secret's text stands for; None where it is none that the scheme can use."""
    # Loaded when first needed: most providers share a secret.
    from engine.public_keys import public_key

    bare = secret.strip().removeprefix(getattr(scheme, "key_prefix", "").encode())
    return public_key(bare, family_of(scheme), scheme.key)


def keys(scheme: Shared | HashScheme, secrets: Secrets, name: str) -> list[bytes]:
    """Every key that may have signed; secrets that do not decode are passed over."""
    given = secrets.get(name, ())
    if isinstance(scheme, HashScheme):
        return [secret for secret in given if secret]
    return [made for secret in given if (made := key(secret, scheme))]


def key(secret: bytes, scheme: Shared) -> bytes | None:
    """The key that a shared secret's text stands for; None where it is empty or not in the agreed encoding."""
    bare = secret.removeprefix(getattr(scheme, "key_prefix", "").encode())
    if scheme.key == "utf8":
        return bare or None
    if scheme.key == "pem":
        return None
    try:
        return decoded(bare, scheme.key) or None
    except (ValueError, binascii.Error):
        return None
