"""Which schemes have public keys, and of which family; known without loading the library that reads the keys."""

from __future__ import annotations

import binascii

from engine.auth_model import EcdsaScheme, Ed25519Scheme, JwtScheme, MessageSignatureScheme, RsaScheme

Asymmetric = RsaScheme | EcdsaScheme | Ed25519Scheme
_FAMILIES = {
    "RS256": "rsa",
    "ES256": "ecdsa",
    "EdDSA": "ed25519",
    "rsa-pss-sha512": "rsa",
    "rsa-v1_5-sha256": "rsa",
    "ecdsa-p256-sha256": "ecdsa",
    "ed25519": "ed25519",
}


def family_of(scheme: Asymmetric | JwtScheme | MessageSignatureScheme) -> str:
    """rsa, ecdsa or ed25519; "" for an algorithm with a shared secret."""
    if isinstance(scheme, JwtScheme | MessageSignatureScheme):
        return _FAMILIES.get(scheme.algorithm, "")
    return str(scheme.scheme)


def decoded(text: bytes, encoding: str) -> bytes:
    """The bytes that hex or base64 (padding left out at will) stand for. Raises ValueError."""
    if encoding == "hex":
        return binascii.unhexlify(text)
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
