"""Public keys and the signatures they verify; private keys, for trying things out, and those they make.

A key is an object of the `cryptography` library. Nothing here raises for what a request or a secret holds:
a key that cannot be read is None, a signature that does not fit is False.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from engine.auth_model import EcdsaScheme, Ed25519Scheme, RsaScheme
from engine.key_families import Asymmetric, decoded

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

SHORTEST_RSA = 2048
"""Bits of the modulus."""

_HASHES: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha512": hashes.SHA512,
}
_KINDS: Mapping[str, tuple[type, type]] = {
    "rsa": (rsa.RSAPublicKey, rsa.RSAPrivateKey),
    "ecdsa": (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey),
    "ed25519": (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey),
}
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error)


@lru_cache(256)
def public_key(text: bytes, family: str, encoding: str) -> PublicKey | None:
    """A public key of the family from its text: PEM (a certificate, too), or hex or base64 of DER or raw bytes.

    A private key in PEM stands for its public one. None where it is none, of another curve than P-256, or an
    RSA key below SHORTEST_RSA bits.
    """
    try:
        found = _pem(text) if encoding == "pem" else _raw(decoded(text, encoding), family)
    except _UNREADABLE:
        return None
    return found if fit(found, family) else None


def certificate_key(pem: bytes, family: str) -> PublicKey | None:
    """The key of a certificate; None where it is none of the family."""
    return public_key(pem, family, "pem") if b"BEGIN CERTIFICATE" in pem else None


def fit(found: Any, family: str) -> bool:
    """Whether a public key is of a family and strong enough."""
    if not isinstance(found, _KINDS[family][0]):
        return False
    if isinstance(found, rsa.RSAPublicKey):
        return found.key_size >= SHORTEST_RSA
    return not isinstance(found, ec.EllipticCurvePublicKey) or isinstance(found.curve, ec.SECP256R1)


def private_key(text: bytes, family: str, encoding: str) -> PrivateKey | None:
    """A private key of the family: PEM, or hex or base64 of DER or, for Ed25519, of the 32 bytes of the seed."""
    try:
        found = _private(text, family, encoding)
    except _UNREADABLE:
        return None
    fits: bool = isinstance(found, _KINDS[family][1])
    return found if fits else None


def _private(text: bytes, family: str, encoding: str) -> Any:
    if encoding == "pem" or b"PRIVATE KEY" in text:
        return serialization.load_pem_private_key(text, None)
    raw = decoded(text, encoding)
    if family == "ed25519" and len(raw) == 32:
        return ed25519.Ed25519PrivateKey.from_private_bytes(raw)
    return serialization.load_der_private_key(raw, None)


def verifies(scheme: Asymmetric, key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether a signature of the message was made with the key's private one."""
    try:
        if isinstance(scheme, RsaScheme) and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, _padding(scheme, padding.PSS.AUTO), _HASHES[scheme.algorithm]())
        elif isinstance(scheme, EcdsaScheme) and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_der(scheme, signature), message, ec.ECDSA(hashes.SHA256()))
        elif isinstance(scheme, Ed25519Scheme) and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def signed(scheme: Asymmetric, key: PrivateKey, message: bytes) -> bytes:
    """A signature of the message. Raises TypeError where the key is of another family."""
    if isinstance(scheme, RsaScheme) and isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, _padding(scheme, padding.PSS.DIGEST_LENGTH), _HASHES[scheme.algorithm]())
    if isinstance(scheme, EcdsaScheme) and isinstance(key, ec.EllipticCurvePrivateKey):
        der = key.sign(message, ec.ECDSA(hashes.SHA256()))
        if scheme.form == "der":
            return der
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if isinstance(scheme, Ed25519Scheme) and isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    raise TypeError("the key is of another family than the scheme")


def _padding(scheme: RsaScheme, salt: Any) -> padding.AsymmetricPadding:
    if scheme.padding == "pkcs1":
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(_HASHES[scheme.algorithm]()), salt)


def _der(scheme: EcdsaScheme, signature: bytes) -> bytes:
    if scheme.form == "der":
        return signature
    if len(signature) != 64:
        raise ValueError("r and s have 32 bytes each")
    return utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def _pem(text: bytes) -> Any:
    if b"BEGIN CERTIFICATE" in text:
        # Loaded when first needed: it takes some megabytes.
        from cryptography import x509

        return x509.load_pem_x509_certificate(text).public_key()
    if b"PRIVATE KEY" in text:
        return serialization.load_pem_private_key(text, None).public_key()
    return serialization.load_pem_public_key(text)


def _raw(raw: bytes, family: str) -> Any:
    if family == "ed25519" and len(raw) == 32:
        return ed25519.Ed25519PublicKey.from_public_bytes(raw)
    if family == "ecdsa" and len(raw) in (33, 65) and raw[0] in (2, 3, 4):
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    return serialization.load_der_public_key(raw)
